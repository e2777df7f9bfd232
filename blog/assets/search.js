// Search with Pagefind's index; the words stand in the address, so that a search can be kept and shared.
const index = document.querySelector("script[data-pagefind]").dataset.pagefind
const form = document.getElementById("search"), query = document.getElementById("query")
const status = document.getElementById("status"), hits = document.getElementById("hits")

function hit(page) {
  const item = document.createElement("li"), link = document.createElement("a"), excerpt = document.createElement("p")
  const part = page.sub_results.find(result => result.url !== page.url) ?? page
  link.href = part.url
  link.textContent = part === page || part.title === page.meta.title ? page.meta.title : `${page.meta.title}: ${part.title}`
  excerpt.innerHTML = part.excerpt // Pagefind escapes the text and marks the words
  item.append(link, excerpt)
  return item
}

let latest = 0
async function look() {
  const words = query.value.trim(), mine = ++latest
  history.replaceState(null, "", words ? `?q=${encodeURIComponent(words)}` : location.pathname)
  if (!words) { status.textContent = ""; hits.replaceChildren(); return }
  let pages
  try {
    const pagefind = await import(index)
    const found = await pagefind.debouncedSearch(words, {}, 150)
    if (found === null || mine !== latest) return // more was typed meanwhile
    pages = await Promise.all(found.results.slice(0, 20).map(result => result.data()))
    if (mine !== latest) return
    status.textContent = found.results.length === 0 ? `No page for “${words}”.`
      : `${found.results.length} ${found.results.length === 1 ? "page" : "pages"} for “${words}”${found.results.length > 20 ? "; the first 20" : ""}.`
  } catch { status.textContent = "The search index could not be loaded; it is made by `make site`."; return }
  hits.replaceChildren(...pages.map(hit))
}

form.hidden = false
form.addEventListener("submit", event => { event.preventDefault(); look() })
query.addEventListener("input", look)
query.value = new URLSearchParams(location.search).get("q") ?? ""
query.focus()
if (query.value) look()
