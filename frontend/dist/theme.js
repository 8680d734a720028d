// Sets the theme before the first paint. "system" leaves it to prefers-color-scheme in the styles.
(function () {
  try {
    var theme = JSON.parse(localStorage.getItem("scaleweb.theme") || '"system"');
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch (error) {
    // Storage may be forbidden; the system's theme stands then.
  }
})();
