// The machine of chapter 14, to draw on, to teach and to replay. One file, without imports: a notebook runs it through
// anywidget (`render`), a page of the site by itself (`mount`). Its state is a recorded training, plain JSON, which
// `mark1.playground.record` writes; what is drawn, and in which place, is as in `machine_svg` there.
const VERSION = 1;
const COLORS = { light: "#f2b705", ink: "#1b1b1b", plus: "#1f4e79", minus: "#b03a00", silent: "#d9d9d9" };
const SVG = "http://www.w3.org/2000/svg";

// --- the machine

/** Read a picture: four cells for each hexadecimal digit, row by row. */
export function decode(text, count) {
  const light = new Uint8Array(count);
  for (let cell = 0; cell < count; cell++) {
    light[cell] = (parseInt(text[cell >> 2], 16) >> (3 - (cell & 3))) & 1;
  }
  return light;
}

/** Write a picture so. */
export function encode(light) {
  let text = "";
  for (let start = 0; start < light.length; start += 8) {
    let byte = 0;
    for (let bit = 0; bit < 8; bit++) byte = 2 * byte + (light[start + bit] || 0);
    text += byte.toString(16).padStart(2, "0");
  }
  return text;
}

/** Say in a sentence why a recording cannot be shown, "" where it can. */
export function fault(recording) {
  if (!recording || recording.version !== VERSION) {
    const found = recording ? recording.version : "missing";
    return `This recorded training is of version ${found}, and version ${VERSION} is needed; record it anew.`;
  }
  const cells = recording.side ** 2;
  const unit = recording.wires.findIndex((wires) => wires.some((wire) => !wire || Math.abs(wire) > cells));
  return unit < 0 ? "" : `Association unit ${unit} has a wire to a cell that is not there; record it anew.`;
}

/** A perceptron as it is after some lessons. */
export class Machine {
  constructor(recording, lessons = recording.lessons, step = lessons.length) {
    Object.assign(this, { recording, side: recording.side, classes: recording.classes });
    this.dials = Array.from({ length: recording.response_units }, (_, lamp) =>
      Int32Array.from(recording.dials ? recording.dials[lamp] : { length: recording.wires.length }));
    for (const lesson of lessons.slice(0, step)) this.wrong = this.teach(this.picture(lesson[0]), lesson[1]);
  }
  picture(which) {
    return decode(typeof which === "number" ? this.recording.pictures[which] : which, this.side ** 2);
  }
  fires(light) {
    return this.recording.wires.map((wires) => {
      const sum = wires.reduce((total, wire) => total + Math.sign(wire) * light[Math.abs(wire) - 1], 0);
      return sum >= this.recording.threshold ? 1 : 0;
    });
  }
  sums(fires) {
    return this.dials.map((dials) => fires.reduce((total, fire, unit) => total + fire * dials[unit], 0));
  }
  /** Correct the lamps that are wrong; give how many were. */
  teach(light, label) {
    const fires = this.fires(light);
    const sums = this.sums(fires);
    let wrong = 0;
    for (let lamp = 0; lamp < this.classes.length; lamp++) {
      const target = lamp === label ? 1 : -1;
      if (target * sums[lamp] > 0) continue;
      fires.forEach((fire, unit) => { this.dials[lamp][unit] += target * fire; });
      wrong++;
    }
    return wrong;
  }
  /** Give the number of the class that it answers, -1 where two sums are equally large. */
  answer(sums) {
    const named = sums.slice(0, this.classes.length);
    const largest = Math.max(...named);
    return named.filter((sum) => sum === largest).length === 1 ? named.indexOf(largest) : -1;
  }
}

// --- the drawing

function places(machine) {
  const count = machine.recording.wires.length;
  const lamps = machine.classes.length;
  const columns = Math.ceil(Math.sqrt(count / 2));
  const cell = 240 / machine.side;
  const unit = Math.min(190 / columns, 350 / Math.ceil(count / columns));
  const row = Math.min(350 / lamps, 90);
  const round = (point) => point.map((number) => Math.round(10 * number) / 10);
  const list = (length, point) => Array.from({ length }, (_, number) => round(point(number)));
  return {
    cell, unit, row,
    cells: list(machine.side ** 2, (n) => [14 + cell * (n % machine.side + 0.5),
                                           102 + cell * (Math.floor(n / machine.side) + 0.5)]),
    units: list(count, (n) => [302 + unit * (n % columns + 0.5), 44 + unit * (Math.floor(n / columns) + 0.5)]),
    lamps: list(lamps, (n) => [548, 44 + row * (n + 0.5)]),
  };
}

function make(name, attributes = {}, text = "") {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.textContent = text;
  return node;
}

/** Draw the machine with a picture into `parent`; give what it says in words. */
function draw(parent, machine, light) {
  const at = places(machine);
  const fires = machine.fires(light);
  const sums = machine.sums(fires);
  const answer = machine.answer(sums);
  const lamp = Math.max(0, answer);
  const nodes = [];
  const path = (d, color, more) => nodes.push(make("path", { d, fill: "none", stroke: COLORS[color], ...more }));
  const dots = (points, width, color, cap = "round") =>
    path(points.map(([x, y]) => `M${x} ${y}h0`).join(""), color, { "stroke-width": width, "stroke-linecap": cap });
  const line = ([x, y], [right, down]) => `M${x} ${y}L${right} ${down}`;
  const lines = (d, dashed, part) => path(d, dashed ? "minus" : "plus", {
    "stroke-width": 0.5, opacity: 0.4, "data-part": part, ...(dashed ? { "stroke-dasharray": "3 2" } : {}) });

  path(at.cells.map(([x, y]) => `M${x - at.cell / 2} ${y - at.cell / 2}h${at.cell}v${at.cell}h${-at.cell}z`).join(""),
       "silent", { "stroke-width": 0.5 });
  dots(at.cells.filter((_, cell) => light[cell]), 0.8 * at.cell, "ink", "square");
  const carrying = { 1: "", "-1": "" };
  let count = 0;
  machine.recording.wires.forEach((wires, unit) => wires.forEach((wire) => {
    if (!light[Math.abs(wire) - 1]) return;
    carrying[Math.sign(wire)] += line(at.cells[Math.abs(wire) - 1], at.units[unit]);
    count++;
  }));
  lines(carrying[1], false, "plus");
  lines(carrying[-1], true, "minus");
  const dials = machine.dials[lamp];
  const onward = (sign) => at.units.map((point, unit) =>
    (fires[unit] && sign * dials[unit] > 0 ? line(point, at.lamps[lamp]) : "")).join("");
  lines(onward(1), false, "up");
  lines(onward(-1), true, "down");
  dots(at.units.filter((_, unit) => !fires[unit]), 0.85 * at.unit, "silent");
  dots(at.units.filter((_, unit) => fires[unit]), 0.85 * at.unit, "light");
  const most = machine.dials.reduce((found, all) => all.reduce((best, dial) => Math.max(best, Math.abs(dial)), found), 1);
  path(at.units.map(([x, y], unit) => {
    const turned = 0.75 * Math.PI * dials[unit] / most;
    return `M${x} ${y}l${(0.4 * at.unit * Math.sin(turned)).toFixed(1)} ${(-0.4 * at.unit * Math.cos(turned)).toFixed(1)}`;
  }).join(""), "ink", { "stroke-width": 1.2, "data-part": "needles" });
  const radius = Math.min(15, 0.4 * at.row);
  const lit = at.lamps.filter((_, number) => sums[number] > 0);
  dots(at.lamps.filter((_, number) => sums[number] <= 0), 2 * radius, "silent");
  dots(lit, 2 * radius + 4, "ink");
  dots(lit, 2 * radius, "light");
  const said = machine.classes.map((name, number) => `${name} ${sums[number] < 0 ? "" : "+"}${sums[number]}`);
  const size = Math.min(20, 0.62 * at.row, 155 / Math.max(...said.map((text) => text.length)));
  const heads = [[14, "retina"], [302, `dials of ${machine.classes[lamp]}`], [530, "lamps"]];
  for (const [x, text] of heads) nodes.push(make("text", { x, y: 26, "font-size": 20 }, text));
  at.lamps.forEach(([x, y], number) => nodes.push(
    make("text", { x: x + 22, y: y + size / 3, "font-size": size }, said[number])));
  parent.replaceChildren(...nodes);
  const on = machine.classes.filter((_, number) => sums[number] > 0);
  return `Perceptron: ${light.reduce((a, b) => a + b, 0)} of ${light.length} photocells are in the light, `
    + `${count} wires carry something, ${fires.reduce((a, b) => a + b, 0)} of ${fires.length} association units fire; `
    + `lamps lit: ${on.join(", ") || "none"}; answer: ${answer < 0 ? "none" : machine.classes[answer]}.`;
}

// --- what the learner touches

function element(name, properties = {}, ...children) {
  const node = document.createElement(name);
  const { style = {}, ...others } = properties;
  Object.assign(node, others);
  Object.assign(node.style, style);
  node.append(...children);
  return node;
}

let widgets = 0; // numbers that tie labels to what they name

function build(el, { recording, lessons, step, picture, changed = () => {} }) {
  const trouble = fault(recording);
  if (trouble) {
    el.replaceChildren(element("p", { role: "alert", textContent: trouble }));
    return () => {};
  }
  const side = recording.side;
  const state = { lessons, step, light: decode(picture, side ** 2), cursor: Math.floor((side ** 2 + side) / 2), timer: 0 };
  let machine = new Machine(recording, state.lessons, state.step);
  const row = { display: "flex", flexWrap: "wrap", gap: "0.5em 1em", alignItems: "center", margin: "0.5em 0" };
  const name = `perceptron-${++widgets}`;

  const drawing = make("g", { "aria-hidden": "true" });
  const cursor = make("rect", { width: 240 / side, height: 240 / side, fill: "none", stroke: COLORS.minus,
                                "stroke-width": 3, visibility: "hidden", "data-part": "cursor" });
  const retina = make("g", { tabindex: 0, role: "application", "aria-label":
    `Retina of ${side} by ${side} cells. Arrow keys move, the space bar turns a cell on or off, Delete clears.`,
    "aria-describedby": `${name}-said` });
  retina.append(make("rect", { x: 14, y: 102, width: 240, height: 240, fill: "white", "fill-opacity": 0 }), cursor);
  const svg = make("svg", { viewBox: "0 0 660 420", role: "presentation", "font-family": "sans-serif", fill: COLORS.ink });
  Object.assign(svg.style, { width: "100%", maxWidth: "660px", display: "block", touchAction: "pan-y" });
  Object.assign(retina.style, { cursor: "crosshair", touchAction: "none" });
  svg.append(make("rect", { width: 660, height: 420, fill: "white" }), drawing, retina);

  const said = element("p", { id: `${name}-said`, style: { margin: "0.25em 0" } });
  said.setAttribute("aria-live", "polite");
  const choice = (label, id, options) => {
    const select = element("select", { id: `${name}-${id}` },
      ...options.map(([value, text]) => element("option", { value, textContent: text })));
    return [select, element("span", {}, element("label", { htmlFor: select.id, textContent: `${label} ` }), select)];
  };
  const [cards, cardsRow] = choice("Show", "show", [["", "your own"],
    ...recording.pictures.map((_, number) => [number, recording.classes[recording.labels[number]]])]);
  const [label, labelRow] = choice("This is", "label", recording.classes.map((text, number) => [number, text]));
  const known = recording.pictures.indexOf(picture);
  if (known >= 0) [cards.value, label.value] = [known, recording.labels[known]];
  const button = (text, act) => element("button", { type: "button", textContent: text, onclick: act });
  const slider = element("input", { type: "range", id: `${name}-step`, min: 0, step: 1, style: { flex: "1 1 12em" } });
  const count = element("span", {});

  const still = () => globalThis.matchMedia?.("(prefers-reduced-motion: reduce)").matches;
  function show(saved = true) {
    const words = draw(drawing, machine, state.light);
    const [x, y] = [14 + (state.cursor % side) * 240 / side, 102 + Math.floor(state.cursor / side) * 240 / side];
    cursor.setAttribute("x", x);
    cursor.setAttribute("y", y);
    said.textContent = words;
    slider.max = state.lessons.length;
    slider.value = state.step;
    const shown = state.step ? `after ${state.step} of ${state.lessons.length} lessons` : "before the first lesson";
    slider.setAttribute("aria-valuetext", shown);
    count.textContent = shown;
    if (saved) changed({ lessons: state.lessons, step: state.step, picture: encode(state.light) });
  }
  function go(step, saved = true) {
    state.step = step;
    machine = new Machine(recording, state.lessons, step);
    if (step) {
      const [which, right] = state.lessons[step - 1];
      state.light = machine.picture(which);
      cards.value = typeof which === "number" ? which : "";
      label.value = right;
    }
    show(saved);
  }
  function pause() {
    clearInterval(state.timer);
    state.timer = 0;
    play.textContent = "Replay";
  }
  function replay() {
    if (state.timer) return pause();
    if (still()) return go(state.lessons.length);
    if (state.step >= state.lessons.length) go(0);
    play.textContent = "Pause";
    state.timer = setInterval(() => {
      const last = state.step + 1 >= state.lessons.length;
      if (state.step < state.lessons.length) go(state.step + 1, last);
      if (last) pause();
    }, 300);
  }
  function teach() {
    pause();
    const own = cards.value === "" ? encode(state.light) : Number(cards.value);
    state.lessons = [...state.lessons.slice(0, state.step), [own, Number(label.value)]]; // a new course from here
    go(state.step + 1);
    const wrong = machine.wrong;
    said.textContent = `${wrong ? `${wrong} lamp${wrong > 1 ? "s were" : " was"} wrong: their dials were turned.` :
      "Every lamp was right: no dial was turned."} ${said.textContent}`;
  }
  function set(cell, on, saved = true) {
    pause();
    state.light[cell] = on;
    cards.value = "";
    show(saved);
  }
  function clear() {
    pause();
    state.light.fill(0);
    cards.value = "";
    show();
  }

  const play = button("Replay", replay);
  cards.onchange = () => {
    pause();
    if (cards.value === "") return;
    state.light = machine.picture(Number(cards.value));
    label.value = recording.labels[Number(cards.value)];
    show();
  };
  slider.oninput = () => { pause(); go(Number(slider.value)); };

  // mouse, pen or finger: the first cell says whether this stroke draws or wipes
  let stroke = null;
  const cellUnder = (event) => {
    const box = svg.getBoundingClientRect();
    const x = Math.floor(((event.clientX - box.left) * 660 / box.width - 14) * side / 240);
    const y = Math.floor(((event.clientY - box.top) * 420 / box.height - 102) * side / 240);
    return x < 0 || y < 0 || x >= side || y >= side ? -1 : y * side + x;
  };
  const draws = (event) => {
    const cell = cellUnder(event);
    if (stroke === null || cell < 0) return;
    state.cursor = cell;
    if (state.light[cell] !== stroke) set(cell, stroke, false);
  };
  retina.addEventListener("pointerdown", (event) => {
    const cell = cellUnder(event);
    if (cell < 0) return;
    stroke = state.light[cell] ? 0 : 1;
    retina.setPointerCapture(event.pointerId);
    draws(event);
    event.preventDefault();
    retina.focus({ preventScroll: true });
  });
  retina.addEventListener("pointermove", draws);
  const ends = () => { if (stroke !== null) { stroke = null; show(); } };
  retina.addEventListener("pointerup", ends);
  retina.addEventListener("pointercancel", ends);
  retina.addEventListener("keydown", (event) => {
    const [across, down] = [state.cursor % side, Math.floor(state.cursor / side)];
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (event.key in steps) {
      const [x, y] = [across + steps[event.key][0], down + steps[event.key][1]];
      if (x >= 0 && y >= 0 && x < side && y < side) state.cursor = y * side + x;
      show(false);
      const lit = state.light[state.cursor] ? "in the light" : "dark";
      said.textContent = `Row ${Math.floor(state.cursor / side) + 1}, column ${state.cursor % side + 1}: ${lit}.`;
    } else if (event.key === " " || event.key === "Enter") {
      set(state.cursor, state.light[state.cursor] ? 0 : 1);
    } else if (event.key === "Delete" || event.key === "Backspace") {
      clear();
    } else return;
    event.preventDefault();
    event.stopPropagation(); // a notebook has meanings of its own for these keys
  });
  retina.addEventListener("focus", () => cursor.setAttribute("visibility", "visible"));
  retina.addEventListener("blur", () => cursor.setAttribute("visibility", "hidden"));

  const told = element("div", { textContent: "Draw on the retina, choose what it is, and teach the machine." });
  const whole = element("div", { style: { maxWidth: "660px" } }, svg, told, said,
    element("div", { style: row }, cardsRow, button("Clear", clear), labelRow, button("Teach", teach)),
    element("div", { style: row }, play,
      element("label", { htmlFor: slider.id, textContent: "Lessons" }), slider, count));
  whole.setAttribute("role", "group");
  whole.setAttribute("aria-label", "Perceptron: draw on the retina, teach it, replay its training");
  el.replaceChildren(whole);
  show(false);
  return pause;
}

/** Show a recorded training in an element of any page; give a function that stops it. */
export function mount(el, recording) {
  const { lessons = [], pictures = [] } = recording || {};
  return build(el, { recording, lessons, step: lessons.length, picture: recording?.picture || pictures[0] });
}

/** What anywidget calls. */
function render({ model, el }) {
  const changed = (values) => {
    for (const [key, value] of Object.entries(values)) model.set(key, value);
    model.save_changes();
  };
  return build(el, { recording: model.get("recording"), lessons: model.get("lessons"), step: model.get("step"),
                     picture: model.get("picture"), changed });
}

export default { render };
