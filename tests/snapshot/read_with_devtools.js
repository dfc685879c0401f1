// Opens a snapshot with the code of Chromium's own developer tools, which the
// browser serves, and checks what their Memory panel would show.
//
// usage: read_with_devtools.js FOLDER [CHROMIUM]
//
// FOLDER is that of read_with_memlab.js. Needs puppeteer-core where `require`
// looks (NODE_PATH); it comes with memlab.
'use strict';

const assert = require('assert');
const fs = require('fs');
const path = require('path');
const puppeteer = require('puppeteer-core');

// Runs in the browser: loads a snapshot and says what the views show of it.
async function summarize(text) {
  const tools = await import(
    '/devtools/entrypoints/heap_snapshot_worker/heap_snapshot_worker.js'
  );
  const loader = new tools.HeapSnapshotLoader.HeapSnapshotLoader({
    sendEvent() {},
  });
  loader.write(text);
  loader.close();
  await loader.parsingComplete;
  // Newer versions share the work with a second thread.
  const {SecondaryInitManager} = tools.HeapSnapshot;
  const channel = new MessageChannel();
  if (SecondaryInitManager) new SecondaryInitManager(channel.port2);
  const snapshot = await loader.buildSnapshot(channel.port1);

  const classes = {};
  for (const row of Object.values(snapshot.aggregatesWithFilter({}))) {
    classes[row.name] = {count: row.count, distance: row.distance};
  }
  // The first child of each node, three levels down; then all.
  const containment = [];
  let node = snapshot.rootNode();
  for (let level = 0; level < 3; level++) {
    const edge = node.edges().item();
    containment.push(`${edge} ${edge.node().name()}`);
    node = snapshot.createNode(edge.node().nodeIndex);
  }
  const lists = {};
  for (const each = node.edges(); each.hasNext(); each.next()) {
    const edge = each.item();
    lists[edge.name()] = edge.node().retainedSize();
  }
  return {
    nodes: snapshot.nodeCount,
    bytes: snapshot.totalSize,
    classes,
    containment,
    lists,
  };
}

async function main(folder, chromium) {
  const expected = {};
  const lines = fs.readFileSync(path.join(folder, 'expected'), 'utf8');
  for (const line of lines.trim().split('\n')) {
    const [name, number] = line.split(' ');
    expected[name] = Number(number);
  }
  const text = fs.readFileSync(path.join(folder, 's3.heapsnapshot'), 'utf8');
  const browser = await puppeteer.launch({
    executablePath: chromium,
    args: ['--no-sandbox', '--remote-debugging-port=0'],
  });
  try {
    const {host} = new URL(browser.wsEndpoint());
    const page = await browser.newPage();
    await page.goto(`http://${host}/devtools/inspector.html`);
    const shown = await page.evaluate(summarize, text);
    assert.strictEqual(shown.nodes, JSON.parse(text).snapshot.node_count);
    assert.strictEqual(shown.bytes, expected.bytes);
    const objects = Object.values(shown.classes);
    assert.strictEqual(
      objects.reduce((sum, row) => sum + row.count, 0),
      expected.objects,
    );
    assert.strictEqual(shown.classes.session.count, expected.sessions);
    // As many steps from the root as it takes.
    assert.strictEqual(shown.classes.session.distance, 6);
    assert.deepStrictEqual(shown.containment, [
      '[0] (registered root)',
      '.server registered root server',
      '[0] server',
    ]);
    assert(
      shown.lists.failed > 0.9 * shown.bytes,
      JSON.stringify(shown.lists),
    );
    console.log(
      `the developer tools of ${await browser.version()} show ` +
        `${expected.objects} objects of ${shown.bytes} bytes, of which the ` +
        `leak retains ${shown.lists.failed}`,
    );
  } finally {
    await browser.close();
  }
}

main(process.argv[2], process.argv[3] || '/usr/bin/chromium').catch(error => {
  console.error(error);
  process.exit(1);
});
