// The theme that was chosen last is put on before the page is painted; a button goes on to the next: the one that is not the
// system's, the other one, and the system's again, whatever it will be. Without JavaScript the system's theme holds.
const root = document.documentElement
const dark = matchMedia("(prefers-color-scheme: dark)")
const stored = () => { try { return localStorage.getItem("theme") } catch { return null } } // a browser may refuse storage
if (["dark", "light"].includes(stored())) root.dataset.theme = stored()

function next() {
  const [system, other] = dark.matches ? ["dark", "light"] : ["light", "dark"]
  return { undefined: other, [other]: system, [system]: "system" }[root.dataset.theme]
}

addEventListener("DOMContentLoaded", () => {
  const button = document.getElementById("theme-switch")
  const name = () => { button.textContent = next()[0].toUpperCase() + next().slice(1); button.ariaLabel = `${button.textContent} theme` }
  button.hidden = false
  name()
  button.addEventListener("click", () => {
    const theme = next()
    if (theme === "system") delete root.dataset.theme
    else root.dataset.theme = theme
    try { localStorage.setItem("theme", theme) } catch { /* it holds for this page, then */ }
    name()
  })
  dark.addEventListener("change", name)
})
