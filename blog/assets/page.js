// A button copies code, and a picture is enlarged on a tap. Without JavaScript code is copied by hand, and a tap opens the picture.
if (navigator.clipboard) for (const code of document.querySelectorAll(".highlight")) {
  const button = document.createElement("button")
  Object.assign(button, { type: "button", className: "copy", textContent: "Copy", ariaLabel: "Copy code" })
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(code.querySelector("code").textContent)
    button.textContent = button.ariaLabel = "Copied"
    setTimeout(() => Object.assign(button, { textContent: "Copy", ariaLabel: "Copy code" }), 2000)
  })
  code.append(button)
}

const large = document.createElement("dialog"), close = document.createElement("button")
large.className = "enlarged"
large.ariaLabel = "Picture, enlarged"
Object.assign(close, { type: "button", textContent: "Close" })
large.addEventListener("click", () => large.close())
document.body.append(large)
document.addEventListener("click", event => {
  const link = event.target.closest("a.enlarge")
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return // which open it elsewhere
  event.preventDefault()
  const picture = link.firstElementChild.cloneNode()
  picture.removeAttribute("loading")
  large.replaceChildren(close, picture)
  large.showModal()
})
