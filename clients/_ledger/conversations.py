"""LedgerConversations: the Conversations port on the ledger's tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from clients._ledger.database import Database
from clients._ledger.dialects import insert
from clients._ledger.reading import parsed, readable
from clients._ledger.tables import conversations, messages, microseconds, moment
from workflows.types import LAST_MESSAGES, Conversation, Message, now

MOST_MESSAGES = 1_000
"""Of one conversation; older ones are dropped."""

_BY_ID = sa.select(conversations).where(conversations.c.id == sa.bindparam("wanted"))
_LAST = (
    sa.select(messages.c.seq, messages.c.body)
    .where(messages.c.conversation == sa.bindparam("of"))
    .order_by(messages.c.seq.desc())
    .limit(LAST_MESSAGES)
)
_SAID = sa.insert(messages)
_OLD = sa.text(
    "DELETE FROM messages WHERE conversation = :of AND seq <= "
    "(SELECT seq FROM messages WHERE conversation = :of ORDER BY seq DESC LIMIT 1 OFFSET :most)"
)


class LedgerConversations:
    """Prompts being talked over; any number at once, from any number of processes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, conversation_id: str) -> Conversation | None:
        """With its last LAST_MESSAGES messages, oldest first. StorageError for one that cannot be read."""

        def look(connection: sa.Connection) -> tuple[sa.Row[Any], Sequence[sa.Row[Any, Any]]] | None:
            row = connection.execute(_BY_ID, {"wanted": conversation_id}).first()
            return None if row is None else (row, connection.execute(_LAST, {"of": row.seq}).all())

        found = await self._database.read(look)
        if found is None:
            return None
        row, last = found
        said = [readable(Message, one.body, f"{one.seq} of conversation {conversation_id}") for one in reversed(last)]
        known = parsed(Conversation, row.body, conversation_id)
        return known.but(messages=tuple(one for one in said if one is not None))

    async def save(self, conversation: Conversation, said: Sequence[Message], turn: int) -> bool:
        """Write the conversation's fields and append `said`; `conversation.messages` is not looked at.

        False, with nothing written, when the stored turns are not `turn` (0 for a new one), or when they are but the
        conversation was reset since this one was `created`: the turns that it knew of are others.
        """
        created = microseconds(conversation.created)

        def write(connection: sa.Connection) -> bool:
            row = connection.execute(_BY_ID.with_for_update(), {"wanted": conversation.id}).first()
            if turn != (row.turns if row else 0) or (row and turn and created < row.began):
                return False
            seq = _written(connection, conversation, row)
            if seq is None:
                return False
            if said:
                connection.execute(_SAID, [{"conversation": seq, "body": one.model_dump_json()} for one in said])
                connection.execute(_OLD, {"of": seq, "most": MOST_MESSAGES})
            return True

        return await self._database.write(write)

    async def reset(self, conversation_id: str) -> bool:
        """Forget its messages, words, prompt and negative; id, family, model and presets stay. It counts as created
        now, with no turn. Whether there was one; StorageError for one that cannot be read."""
        began = now()

        def write(connection: sa.Connection) -> bool:
            row = connection.execute(_BY_ID.with_for_update(), {"wanted": conversation_id}).first()
            if row is None:
                return False
            known = parsed(Conversation, row.body, conversation_id)
            anew = known.but(words="", prompt="", negative="", turns=0, created=began, updated=began)
            at = microseconds(began)
            body = anew.model_dump_json(exclude={"messages"})
            fields = {"turns": 0, "began": at, "updated": at, "body": body}
            connection.execute(sa.update(conversations).where(conversations.c.seq == row.seq).values(fields))
            connection.execute(sa.delete(messages).where(messages.c.conversation == row.seq))
            return True

        return await self._database.write(write)

    async def recent(self, limit: int) -> Sequence[Conversation]:
        """Those talked over last first, without their messages; what cannot be read is left out and logged."""
        order = (conversations.c.updated.desc(), conversations.c.seq.desc())
        query = sa.select(conversations.c.id, conversations.c.body).order_by(*order).limit(limit)
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        found = [readable(Conversation, row.body, row.id) for row in rows]
        return [one for one in found if one is not None]


def _written(connection: sa.Connection, conversation: Conversation, row: sa.Row[Any] | None) -> int | None:
    """The conversation over its row, or as a new one; gives the row's number. What began last stays its beginning.

    None when another process made it at the same time."""
    began = max(microseconds(conversation.created), row.began if row else 0)
    fields = {
        "turns": conversation.turns,
        "updated": microseconds(conversation.updated),
        "body": conversation.but(created=moment(began)).model_dump_json(exclude={"messages"}),
    }
    if row is None:
        new = insert(connection, conversations).values(id=conversation.id, began=began, **fields)
        made = new.on_conflict_do_nothing(index_elements=["id"]).returning(conversations.c.seq)
        return connection.execute(made).scalar()
    connection.execute(sa.update(conversations).where(conversations.c.seq == row.seq).values(fields))
    return int(row.seq)
