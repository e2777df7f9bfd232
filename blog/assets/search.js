// Search with Pagefind's index; the words stand in the address, so that a search can be kept and shared.
const index = document.querySelector("script[data-pagefind]").dataset.pagefind
const form = document.getElementById("search"), query = document.getElementById("query")
const status = document.getElementById("status"), hits = document.getElementById("hits")

const score = part => part.weighted_locations.reduce((sum, word) => sum + word.balanced_score, 0)
const before = ({plain_excerpt, title}) => /^[\p{Lu}\d]/u.test(plain_excerpt) || plain_excerpt.startsWith(title) ? "" : "… " // what it is cut out of
const after = ({plain_excerpt}) => /[.!?…]$/.test(plain_excerpt) ? "" : " …"

function hit(page) {
  const item = document.createElement("li"), link = document.createElement("a"), excerpt = document.createElement("p")
  const part = page.sub_results.reduce((best, each) => score(each) > score(best) ? each : best, page.sub_results[0] ?? page)
  link.href = part.url
  link.textContent = part.url === page.url || part.title === page.meta.title ? page.meta.title : `${page.meta.title}: ${part.title}`
  excerpt.innerHTML = before(part) + part.excerpt + after(part) // Pagefind escapes the text and marks the words
  item.append(link, excerpt)
  return item
}

// Pagefind shortens a word until some page has what is left of it; a page is kept if it has the word but for its ending.
const stems = words => words.toLowerCase().match(/[\p{L}\p{N}_]+/gu)?.map(word => word.slice(0, Math.max(3, word.length - 4))) ?? []
const has = words => page => stems(words).every(stem => `${page.meta.title} ${page.content}`.toLowerCase().includes(stem))
const MOST = 40 // results that are looked at

let latest = 0
async function look() {
  const words = query.value.trim(), mine = ++latest
  history.replaceState(null, "", words ? `?q=${encodeURIComponent(words)}` : location.pathname)
  if (!words) { status.textContent = ""; hits.replaceChildren(); return }
  let pages
  try {
    const pagefind = await import(index)
    await new Promise(done => setTimeout(done, 150)) // Pagefind's own waiting can drop the last search while it loads
    if (mine !== latest) return // more was typed meanwhile
    const found = await pagefind.search(words)
    pages = (await Promise.all(found.results.slice(0, MOST).map(result => result.data()))).filter(has(words))
    if (mine !== latest) return
    status.textContent = pages.length === 0 ? `No page for “${words}”.`
      : `${pages.length} ${pages.length === 1 ? "page" : "pages"} for “${words}”${found.results.length > MOST ? ", perhaps more" : ""}.`
  } catch { status.textContent = "The search index could not be loaded; it is made by `make site`."; return }
  hits.replaceChildren(...pages.map(hit))
}

form.hidden = false
form.addEventListener("submit", event => { event.preventDefault(); look() })
query.addEventListener("input", look)
query.value = new URLSearchParams(location.search).get("q") ?? ""
query.focus()
if (query.value) look()
