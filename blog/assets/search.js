// Search with Pagefind's indexes, of the notes and of the course; the words stand in the address, so that a search can be kept and shared.
const [first, ...others] = document.querySelector("script[data-indexes]").dataset.indexes.split(" ")
const form = document.getElementById("search"), query = document.getElementById("query")
const status = document.getElementById("status"), hits = document.getElementById("hits")

const score = part => part.weighted_locations.reduce((sum, word) => sum + word.balanced_score, 0)
const before = ({plain_excerpt, title}) => /^[\p{Lu}\d]/u.test(plain_excerpt) || plain_excerpt.startsWith(title) ? "" : "… " // what it is cut out of
const after = ({plain_excerpt}) => /[.!?…]$/.test(plain_excerpt) ? "" : " …"

function hit(page) {
  const item = document.createElement("li"), link = document.createElement("a"), excerpt = document.createElement("p")
  const best = page.sub_results.reduce((best, each) => score(each) > score(best) ? each : best, page.sub_results[0] ?? page)
  const part = answers(query.value)(page) ? page.sub_results.find(each => each.url.endsWith("#start")) ?? best : best
  if (page.meta.kind) {
    const kind = document.createElement("span")
    Object.assign(kind, { className: "over", textContent: `${page.meta.kind} ` })
    item.append(kind)
  }
  link.href = part.url
  link.textContent = part.url === page.url || part.title === page.meta.title ? page.meta.title : `${page.meta.title}: ${part.title}`
  if (part.locations.length) excerpt.innerHTML = before(part) + part.excerpt + after(part) // Pagefind escapes the text and marks the words
  else excerpt.textContent = page.meta.description // only the code has the words
  item.append(link, excerpt)
  return item
}

// Where an index lacks a word, Pagefind shortens it until it finds something; a page is kept if it has the word but for its ending.
const stem = word => word.replace(/(?<=.{4})(?:ations?|ings?|ions?|ies|ers?|ed|es|ly|[sey])$/, "").replace(/([^aeiou])\1$/, "$1")
const stems = words => words.toLowerCase().match(/[\p{L}\p{N}_]+/gu)?.map(stem) ?? []
const has = words => page => stems(words).every(each => `${page.meta.title} ${page.content} ${page.meta.code ?? ""} ${page.meta.answers ?? ""}`.toLowerCase().includes(each))
const answers = words => page => stems(words).every(each => stems(page.meta.answers ?? "").includes(each))
const MOST = 40 // results that are looked at

let loading
const load = () => loading ??= import(`${first}pagefind.js`).then(async pagefind => {
  await pagefind.options({ ranking: { metaWeights: { kind: 0, description: 0, code: 0.1 } } })
  for (const other of others) await pagefind.mergeIndex(other)
  return pagefind
})

let latest = 0
async function look() {
  const words = query.value.trim(), mine = ++latest
  history.replaceState(null, "", words ? `?q=${encodeURIComponent(words)}` : location.pathname)
  if (!words) { status.textContent = ""; hits.replaceChildren(); return }
  let pages
  try {
    const pagefind = await load()
    await new Promise(done => setTimeout(done, 150)) // Pagefind's own waiting can drop the last search while it loads
    if (mine !== latest) return // more was typed meanwhile
    const found = await pagefind.search(words)
    pages = (await Promise.all(found.results.slice(0, MOST).map(result => result.data()))).filter(has(words))
    const rank = page => answers(words)(page) ? 0 : page.meta.kind === "Library" ? 2 : 1 // what explains comes before the reference
    pages.sort((one, other) => rank(one) - rank(other))
    if (mine !== latest) return
    status.textContent = pages.length === 0 ? `No page for “${words}”.`
      : `${pages.length} ${pages.length === 1 ? "page" : "pages"} for “${words}”${found.results.length > MOST ? ", perhaps more" : ""}.`
  } catch { loading = undefined; status.textContent = "The search index could not be loaded; it is made by `make site`."; return }
  hits.replaceChildren(...pages.map(hit))
}

form.hidden = false
form.addEventListener("submit", event => { event.preventDefault(); look() })
query.addEventListener("input", look)
query.value = new URLSearchParams(location.search).get("q") ?? ""
query.focus()
if (query.value) look()
