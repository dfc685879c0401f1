// Put at the end of a heap map's page by browser_test.py: looks at what the page
// has drawn, drives it with events, and leaves the answers in the document.

function report(name, value) {
  const line = document.createElement("p");
  line.className = "probe";
  line.dataset.name = name;
  line.textContent = String(value);
  document.body.append(line);
}

const tooltipText = () => tooltip.hidden ? "hidden" : tooltip.innerText;

function colourAt(arena, page) {
  const context = heap.arenas[arena].canvas.getContext("2d");
  const [x, y] = samplePixel(page);
  return Array.from(context.getImageData(x, y, 1, 1).data).join();
}

// Pages by the colour that they have been given, from the canvas alone.
function drawnPages() {
  const counts = {};
  heap.arenas.forEach((arena, index) => {
    const image = arena.canvas.getContext("2d")
        .getImageData(0, 0, arena.canvas.width, arena.canvas.height);
    for (let page = 0; page < heap.arenaPages; page++) {
      const [x, y] = samplePixel(page);
      const at = (y * image.width + x) * 4;
      const colour = image.data.slice(at, at + 3).join();
      counts[colour] = (counts[colour] ?? 0) + 1;
    }
  });
  return counts;
}

function mouse(type, arena, page) {
  const {canvas} = heap.arenas[arena];
  const box = canvas.getBoundingClientRect();
  const event = new MouseEvent(type, {
    clientX: box.left + canvas.clientLeft + (page % COLUMNS + 0.5) * SQUARE,
    clientY: box.top + canvas.clientTop +
             (Math.floor(page / COLUMNS) + 0.5) * SQUARE,
    bubbles: true,
  });
  canvas.dispatchEvent(event);
}

function key(arena, name) {
  heap.arenas[arena].canvas.dispatchEvent(
      new KeyboardEvent("keydown", {key: name, bubbles: true}));
}

function probe() {
  report("at start", tooltipText());
  report("focus", document.activeElement.tagName);
  tooltip.hidden || report("colour of location",
                           colourAt(current.arena, current.page));
  const colours = drawnPages();
  report("drawn free", colours[stateColour(FREE).join()]);
  report("drawn released", colours[stateColour(RELEASED).join()]);
  report("drawn outside", colours[stateColour(OUTSIDE).join()]);
  report("distinct colours", Object.keys(colours).length);
  report("arenas", document.querySelectorAll("canvas").length);

  // Every span that the data lists is drawn in its colour.
  let wrong = 0;
  heap.arenas.forEach((arena, index) => {
    for (let page = 0; page < heap.arenaPages; page += 61) {
      const expected = colourOf(arena.pages[page]).join() + ",255";
      if (colourAt(index, page) !== expected) wrong++;
    }
  });
  report("wrong colours", wrong);

  const node = placeOf(EXPECTED["node-address"]);
  mouse("mousemove", node.arena, node.page);
  report("hover", tooltipText());
  report("colour of node", colourAt(node.arena, node.page));
  mouse("click", node.arena, node.page);
  report("location", location.hash);
  mouse("mouseleave", node.arena, node.page);
  report("left", tooltipText());

  heap.arenas[0].canvas.focus();
  key(0, "Home");
  report("home", tooltipText());
  key(0, "ArrowRight");
  report("right", tooltipText());
  key(0, "ArrowLeft");
  report("left again", tooltipText());
  key(0, "Escape");
  report("escape", tooltipText());

  const button = document.getElementById("pages-free").closest("button");
  button.click();
  report("alone", colourAt(node.arena, node.page));
  report("drawn free alone", drawnPages()[stateColour(FREE).join()]);
  button.click();
  report("together", colourAt(node.arena, node.page));

  const huge = placeOf(EXPECTED["huge-address"] + EXPECTED["huge-bytes"] - 1);
  mouse("mousemove", huge.arena, huge.page);
  report("end of huge", tooltipText());
}

try {
  probe();
  report("finished", "yes");
} catch (error) {
  report("error", `${error.message}\n${error.stack}`);
}
