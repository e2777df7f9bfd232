// Where a figure has a recorded training, chapter 14's playground takes the place of the drawing; without JavaScript,
// or without the recording, the drawing stays.
import { mount } from "./perceptron.js"

for (const figure of document.querySelectorAll("figure[data-recording]")) {
  const recording = await fetch(figure.dataset.recording)
  if (!recording.ok) continue
  const room = document.createElement("div")
  mount(room, await recording.json())
  figure.querySelector("img").replaceWith(room)
}
