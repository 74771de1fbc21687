// The theme that was chosen, set before the first paint. Without a choice the system's own is followed.
(function () {
  try {
    const chosen = localStorage.getItem("atelier.theme");
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  } catch {
    // Storage may be forbidden: then the system's theme is used.
  }
})();
