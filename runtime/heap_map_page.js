// The page: totals, legend, tables, tooltip.

// An element; attributes by name, children are elements or text.
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

// Text for people with the number itself beside it, for programs.
const datum = (id, value, text) =>
    make("data", id === null ? {value} : {id, value}, text);

const css = (colour) => `rgb(${colour.join(" ")})`;

// ---- Head

function fillHead() {
  const written = new Date(heap.time * 1000);
  document.title = `Heap map: ${heap.name}`;
  document.getElementById("title").textContent = document.title;
  document.getElementById("about").textContent =
      `Process ${heap.process}, ${written.toISOString().replace("T", " ")
          .replace(".000Z", " UTC")}`;

  const t = heap.totals;
  const list = document.getElementById("totals");
  const total = (id, label, value, text, title) => {
    list.append(make("div", {title},
                     make("dt", {}, label),
                     make("dd", {}, datum("total-" + id, value, text))));
  };
  const size = (id, label, title) =>
      total(id.replace(/[A-Z]/g, (c) => "-" + c.toLowerCase()), label, t[id],
            bytes(t[id]), title);
  size("committed", "Committed", "From the OS, metadata included");
  size("peakCommitted", "At its peak", "The most that was ever committed");
  size("inSpans", "In spans", "Pages that hold objects, or could");
  size("free", "Free", "Committed pages in no span");
  size("released", "Released",
       "Free pages given back to the OS, or not used yet");
  size("reserved", "Reserved", "Address space of all arenas");
  size("metadata", "Metadata", "The heap's own records");
  total("spans", "Spans", t.spans, count(t.spans), "Runs of pages in use");
  total("cycles", "Collections", t.cycles, count(t.cycles), "So far");
  size("live", "Live, last collection", "Bytes that it found alive");
  total("live-objects", "Live objects", t.liveObjects, count(t.liveObjects),
        "That the last collection found");
  size("trigger", "Next collection at",
       "When what is live and what was allocated reach this");
  if (t.external > 0) {
    size("external", "External", "Bytes outside the heap that objects hold");
  }
}

// ---- Legend

// Calls visit(what) for each page.
function forEachPage(visit) {
  for (const arena of heap.arenas) arena.pages.forEach(visit);
}

function fillLegend() {
  const pagesOfKind = new Array(heap.kinds.length).fill(0);
  const pagesOfState = {};
  const pagesOfMark = {[SWEPT]: 0, [UNSWEPT]: 0, [CACHED]: 0};
  forEachPage((what) => {
    if (what < 0) {
      pagesOfState[what] = (pagesOfState[what] ?? 0) + 1;
    } else {
      pagesOfKind[kindOf(what)]++;
      pagesOfMark[spans.state[what]]++;
    }
  });

  const legend = document.getElementById("legend");
  legend.replaceChildren();
  const entry = (id, label, background, pages, isShown) => {
    const button = make("button", {type: "button", "aria-pressed": "false"},
        make("span", {class: "swatch", style: `background: ${background}`}),
        make("span", {class: "label"}, label),
        make("span", {class: "amount"},
             datum(`bytes-${id}`, pages * heap.pageBytes,
                   bytes(pages * heap.pageBytes)), " · ",
             datum(`pages-${id}`, pages, plural(pages, "page"))));
    button.addEventListener("click", () => {
      const press = button.getAttribute("aria-pressed") !== "true";
      for (const other of legend.querySelectorAll("button")) {
        other.setAttribute("aria-pressed", "false");
      }
      button.setAttribute("aria-pressed", String(press));
      emphasis = press ? isShown : null;
      heap.arenas.forEach((_, index) => drawArena(index));
    });
    legend.append(button);
  };
  heap.kinds.forEach((name, kind) => {
    if (pagesOfKind[kind] === 0) return;
    const from = css(classColour(undefined, kind, 0));
    const to = css(classColour(undefined, kind, 1));
    entry(name.replace(" ", "-"), KIND_LABELS[name] ?? name,
          `linear-gradient(to right, ${from}, ${to})`, pagesOfKind[kind],
          (what) => what >= 0 && kindOf(what) === kind);
  });
  for (const [state, id, label] of [
         [FREE, "free", "free"],
         [RELEASED, "released", "free, released"],
         [UNAVAILABLE, "unavailable", "on their way to the OS"],
         [OUTSIDE, "outside", "outside the heap"]]) {
    const pages = pagesOfState[state] ?? 0;
    if (pages === 0 && state === UNAVAILABLE) continue;
    entry(id, label, css(stateColour(state)), pages, (what) => what === state);
  }
  const plain = css(classColour(undefined, 0, 0.4));
  const line = css(ink());
  entry("unswept", "line below: not swept",
        `linear-gradient(to top, ${line} 25%, ${plain} 25%)`,
        pagesOfMark[UNSWEPT],
        (what) => what >= 0 && spans.state[what] === UNSWEPT);
  entry("cached", "line at the left: in a cache",
        `linear-gradient(to right, ${line} 12%, ${plain} 12%)`,
        pagesOfMark[CACHED],
        (what) => what >= 0 && spans.state[what] === CACHED);
}

const KIND_LABELS = {
  "noscan": "bytes: no references",
  "slots": "slots: words are values",
  "headed": "headed: several types",
  "headed noscan": "headed, no references",
  "bitmap": "bitmap: layout per object",
  "typed": "typed: one type",
  "large": "large: one object",
};

// ---- Tables

// The most rows of a table; what is small is added up below them.
const MAX_ROWS = 500;

function typeName(type) {
  const known = types.get(type);
  if (known === undefined) return "";
  return known.isNamed ? known.name
                       : make("span", {class: "untyped"}, known.name);
}

const bar = (part, whole) => make("span", {class: "bar"},
    make("span", {style: `width: ${whole === 0 ? 0 : 100 * part / whole}%`}));

const number = (value, text) =>
    make("td", {class: "number"}, datum(null, value, text ?? count(value)));

function fillTable(id, rows, makeRow, makeRest) {
  const body = document.getElementById(id);
  body.replaceChildren(...rows.slice(0, MAX_ROWS).map(makeRow));
  if (rows.length > MAX_ROWS) body.append(makeRest(rows.slice(MAX_ROWS)));
}

const sum = (rows, key) => rows.reduce((total, row) => total + row[key], 0);

function classRow(row) {
  const isLarge = row.id === heap.largeClass;
  const colour = css(classColour(row.id, row.kind, 1));
  return make("tr", {"data-class": row.id},
      make("td", {},
           make("span", {class: "swatch", style: `background: ${colour}`}),
           heap.kinds[row.kind]),
      make("td", {class: "name"}, typeName(row.type)),
      isLarge ? make("td", {class: "number"}, "any") :
                number(row.cellBytes, count(row.cellBytes) + " B"),
      number(row.count), number(row.pages),
      number(row.pages * heap.pageBytes, bytes(row.pages * heap.pageBytes)),
      number(row.cells), number(row.inUse),
      make("td", {}, bar(row.inUse, row.cells), percent(row.inUse, row.cells)));
}

function fillTables() {
  const byPages = [...classes.values()].sort((a, b) => b.pages - a.pages);
  fillTable("classes", byPages, classRow, (rest) => {
    const pages = sum(rest, "pages");
    return make("tr", {}, make("td", {}, `${count(rest.length)} more`),
        make("td"), make("td"), number(sum(rest, "count")), number(pages),
        number(pages * heap.pageBytes, bytes(pages * heap.pageBytes)),
        number(sum(rest, "cells")), number(sum(rest, "inUse")), make("td"));
  });

  const byBytes = [...types.values()].filter((type) => type.objects > 0)
      .sort((a, b) => b.bytes - a.bytes);
  const all = sum(byBytes, "bytes");
  const share = (part) =>
      make("td", {}, bar(part, all), percent(part, all));
  fillTable("types", byBytes, (type) => make("tr", {"data-type": type.id},
      make("td", {class: "name"}, typeName(type.id)),
      number(type.objects), number(type.bytes, bytes(type.bytes)),
      share(type.bytes)),
      (rest) => make("tr", {}, make("td", {}, `${count(rest.length)} more`),
          number(sum(rest, "objects")),
          number(sum(rest, "bytes"), bytes(sum(rest, "bytes"))),
          share(sum(rest, "bytes"))));
}

// ---- Tooltip

const tooltip = document.getElementById("tooltip");
let current = null;  // {arena, page} that the tooltip speaks of

const STATE_TEXTS = {
  [OUTSIDE]: "Outside the heap",
  [FREE]: "Free",
  [RELEASED]: "Free, given back to the OS or not used yet",
  [UNAVAILABLE]: "On their way to the OS",
};
const SWEEP_TEXTS = {
  [SWEPT]: "swept",
  [UNSWEPT]: "not swept since the last collection",
  [CACHED]: "a thread allocates here",
};

// The title and the pairs of the tooltip for a page.
function describe(arena, page) {
  const what = heap.arenas[arena].pages[page];
  if (what < 0) {
    const {first, end} = runAround(arena, page);
    const address = heap.arenas[arena].address + first * heap.pageBytes;
    return [STATE_TEXTS[what], [
      ["Address", hex(address)],
      ["Pages", `${count(end - first)}, ${bytes((end - first) * heap.pageBytes)}`],
    ]];
  }
  const {cells, inUse} = {cells: spans.cells[what], inUse: spans.inUse[what]};
  const pages = spans.pages[what];
  const rows = [
    ["Address", hex(spans.address[what])],
    ["Pages", `${count(pages)}, ${bytes(pages * heap.pageBytes)}`],
    ["Cell size", plural(spans.cellBytes[what], "byte")],
    ["Cells in use", `${count(inUse)} of ${count(cells)}` +
                     (cells > 1 ? `, ${percent(inUse, cells)}` : "")],
    ["State", SWEEP_TEXTS[spans.state[what]]],
  ];
  const type = types.get(spans.type[what]);
  if (type !== undefined) rows.splice(1, 0, ["Type", typeName(type.id)]);
  return [`Span: ${heap.kinds[kindOf(what)]}`, rows];
}

function hide() {
  if (current !== null) frame(current.arena, 0, 0);
  current = null;
  tooltip.hidden = true;
}

function show(arena, page) {
  if (current !== null && current.arena !== arena) hide();
  current = {arena, page};
  const {canvas} = heap.arenas[arena];
  const {first, end} = runAround(arena, page);
  frame(arena, first, end);
  const [title, rows] = describe(arena, page);
  tooltip.replaceChildren(make("strong", {}, title),
      make("dl", {}, ...rows.flatMap(([name, value]) =>
          [make("dt", {}, name), make("dd", {}, value)])));
  tooltip.hidden = false;
  // Below the square, or above it at the end of the window.
  const box = canvas.getBoundingClientRect();
  const square = box.width / COLUMNS;
  const x = box.left + (page % COLUMNS + 1) * square;
  const y = box.top + (Math.floor(page / COLUMNS) + 1) * square;
  const fits = y + 8 + tooltip.offsetHeight <= window.innerHeight;
  const top = fits ? y + 8 : y - square - 8 - tooltip.offsetHeight;
  const room = document.documentElement.clientWidth - tooltip.offsetWidth - 8;
  tooltip.style.left = `${window.scrollX + Math.max(0, Math.min(x, room))}px`;
  tooltip.style.top = `${window.scrollY + top}px`;
}

// ---- Pointing, keys, the location's #span=ADDRESS

function addressAt(arena, page) {
  const {pages, address} = heap.arenas[arena];
  return pages[page] >= 0 ? spans.address[pages[page]]
                          : address + runAround(arena, page).first * heap.pageBytes;
}

function move(arena, key) {
  const last = heap.arenaPages - 1;
  const page = current?.arena === arena ? current.page : 0;
  const {first, end} = runAround(arena, page);
  const target = {
    ArrowLeft: first - 1, ArrowRight: end, ArrowUp: page - COLUMNS,
    ArrowDown: page + COLUMNS, Home: 0, End: last,
  }[key];
  if (target === undefined) return false;
  show(arena, target < 0 || target > last ? page : target);
  return true;
}

function followLocation() {
  const match = /^#span=(0x[0-9a-f]{1,12})$/i.exec(location.hash);
  const place = match && placeOf(Number(match[1]));
  if (!place) return;
  const {canvas} = heap.arenas[place.arena];
  canvas.scrollIntoView({block: "nearest"});
  canvas.focus({preventScroll: true});
  show(place.arena, place.page);
}

function fillArenas() {
  const list = document.getElementById("arenas");
  heap.arenas.forEach((arena, index) => {
    const canvas = makeCanvas(arena);
    const used = arena.pages.reduce((n, what) => n + (what >= 0), 0);
    const caption = make("figcaption", {},
        `${hex(arena.address)}, ${percent(used, arena.pages.length)} in spans`);
    list.append(make("figure", {}, caption, canvas));
    drawArena(index);
    canvas.addEventListener("mousemove", (event) => {
      const page = pageAt(canvas, event.clientX, event.clientY);
      if (current?.arena !== index || current.page !== page) show(index, page);
    });
    canvas.addEventListener("mouseleave", hide);
    canvas.addEventListener("blur", () => {
      // Not if only the window has lost it.
      if (document.activeElement !== canvas) hide();
    });
    canvas.addEventListener("focus", () => {
      if (current?.arena !== index && canvas.matches(":focus-visible")) {
        show(index, 0);
      }
    });
    canvas.addEventListener("click", (event) => {
      const page = pageAt(canvas, event.clientX, event.clientY);
      history.replaceState(null, "", "#span=" + hex(addressAt(index, page)));
      show(index, page);
    });
    canvas.addEventListener("keydown", (event) => {
      if (event.key === "Escape") hide();
      if (move(index, event.key)) event.preventDefault();
    });
  });
}

fillHead();
fillLegend();
fillTables();
fillArenas();
followLocation();
window.addEventListener("hashchange", followLocation);
darkTheme.addEventListener("change", () => {
  hide();
  fillLegend();
  fillTables();
  heap.arenas.forEach((_, index) => drawArena(index));
});
