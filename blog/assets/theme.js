// The theme that was chosen last is put on before the page is painted; a button changes it. Without JavaScript the system's theme holds.
const root = document.documentElement
const stored = () => { try { return localStorage.getItem("theme") } catch { return null } } // a browser may refuse storage
const isDark = () => (root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark"
if (["dark", "light"].includes(stored())) root.dataset.theme = stored()

addEventListener("DOMContentLoaded", () => {
  const button = document.getElementById("theme-switch")
  const name = () => { button.textContent = isDark() ? "Light" : "Dark"; button.ariaLabel = `${button.textContent} theme` }
  button.hidden = false
  name()
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark"
    try { localStorage.setItem("theme", root.dataset.theme) } catch { /* it holds for this page, then */ }
    name()
  })
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", name)
})
