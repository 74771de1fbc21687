"""How long an attempt still takes."""

from workflows.pace import Mark, marked, seconds_left


def test_the_time_left_follows_the_pace_since_the_first_step() -> None:
    mark = marked(None, "0/1", 2, 100.0)
    assert seconds_left(mark, 6, 20, 102.0) == 7.0


def test_before_two_steps_and_after_the_last_nothing_is_said() -> None:
    mark = Mark("0/1", 1, 100.0)
    assert [seconds_left(*given) for given in ((None, 3, 20, 9.0), (mark, 1, 20, 105.0), (mark, 20, 20, 110.0))] == [
        None,
        None,
        None,
    ]


def test_how_long_the_decoding_takes_is_not_guessed_from_steps() -> None:
    mark = Mark("0/1", 1, 100.0)
    assert [seconds_left(mark, step, 9, 107.0) for step in (7, 8)] == [2.3, None]


def test_loading_before_the_first_step_does_not_count() -> None:
    assert marked(None, "0/1", 0, 50.0) is None
    mark = marked(marked(None, "0/1", 0, 50.0), "0/1", 1, 100.0)
    assert seconds_left(marked(mark, "0/1", 2, 101.0), 2, 4, 101.0) == 2.0


def test_another_attempt_and_steps_that_begin_anew_are_measured_anew() -> None:
    mark = Mark("0/1", 5, 100.0)
    assert marked(mark, "0/2", 1, 200.0) == Mark("0/2", 1, 200.0)
    assert marked(mark, "0/1", 1, 300.0) == Mark("0/1", 1, 300.0)
    assert marked(mark, "0/1", 6, 400.0) is mark
