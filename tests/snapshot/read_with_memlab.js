// Opens snapshots with memlab and checks what it finds in them.
//
// usage: read_with_memlab.js FOLDER
//
// FOLDER holds s1.heapsnapshot to s3.heapsnapshot of a service that leaks, and
// in the file "expected" what make_snapshot has printed of the last. Needs
// @memlab/heap-analysis where `require` looks (NODE_PATH).
'use strict';

const assert = require('assert');
const fs = require('fs');
const path = require('path');
const {config} = require('@memlab/core');
const {
  getFullHeapFromFile,
  ObjectUnboundGrowthAnalysis,
  PluginUtils,
} = require('@memlab/heap-analysis');

config.muteConsole = true;

function readExpected(file) {
  const expected = {};
  for (const line of fs.readFileSync(file, 'utf8').trim().split('\n')) {
    const [name, number] = line.split(' ');
    expected[name] = Number(number);
  }
  return expected;
}

// Counts of nodes, edges and bytes are those of the heap's own walk.
function checkCounts(heap, header, expected) {
  assert.strictEqual(heap.nodes.length, header.node_count);
  assert.strictEqual(heap.edges.length, header.edge_count);
  let objects = 0;
  let bytes = 0;
  let references = 0;
  let sessions = 0;
  heap.nodes.forEach(node => {
    if (node.type === 'synthetic') return;
    objects++;
    bytes += node.self_size;
    references += node.edge_count;
    if (node.name === 'session') sessions++;
  });
  assert.deepStrictEqual(
    {objects, bytes, references, sessions},
    {
      objects: expected.objects,
      bytes: expected.bytes,
      references: expected.references,
      sessions: expected.sessions,
    },
  );
  console.log(
    `memlab reads ${heap.nodes.length} nodes and ${heap.edges.length} edges, ` +
      `${objects} objects of ${bytes} bytes: as loam says`,
  );
}

// From a node to the root: the names of nodes and edges on memlab's path.
function pathTo(node) {
  const names = [node.name];
  for (let edge = node.pathEdge; edge; edge = edge.fromNode.pathEdge) {
    names.unshift(edge.fromNode.name, String(edge.name_or_index));
  }
  return names.join(' / ');
}

// What keeps most: the list that nobody looks at, by its field's name.
function checkRetainedSizes(heap, expected) {
  const lists = [];
  heap.nodes.forEach(node => {
    if (node.name === 'list') lists.push(node);
  });
  assert.strictEqual(lists.length, 2);
  lists.sort((a, b) => b.retainedSize - a.retainedSize);
  const leak = lists[0];
  assert.strictEqual(leak.pathEdge.name_or_index, 'failed');
  const items = leak.getReferenceNode('items');
  const leaked = items.references.filter(edge => edge.type === 'element');
  assert.strictEqual(leaked.length, expected.leaked);
  const where = pathTo(leaked[leaked.length - 1].toNode);
  assert.match(
    where,
    /^\(root\) \/ \d+ \/ \(registered root\) \/ server \/ registered root server \/ 0 \/ server \/ failed \/ list \/ items \/ items \/ \d+ \/ session$/,
  );
  const share = leak.retainedSize / heap.nodes.get(0).retainedSize;
  assert(share > 0.9, `only ${share} of the heap is the leak's`);
  const largest = PluginUtils.filterOutLargestObjects(
    heap,
    PluginUtils.isNodeWorthInspecting,
  );
  assert(
    largest.some(node => node.id === items.id || node.id === leak.id),
    'not among the largest objects',
  );
  console.log(
    `the largest list keeps ${(100 * share).toFixed(1)} % of the heap:\n  ${where}`,
  );
  return leak;
}

// memlab's query for objects that grow from snapshot to snapshot knows them by
// their numbers.
async function checkGrowth(folder, leak) {
  const {analysisOutputFile} =
    await new ObjectUnboundGrowthAnalysis().analyzeSnapshotsInDirectory(folder, {
      workDir: path.join(folder, 'memlab'),
    });
  const output = fs.readFileSync(analysisOutputFile, 'utf8');
  // eslint-disable-next-line no-control-regex
  const lines = output.replace(/\u001b\[[0-9;]*m/g, '').split('\n');
  const found = lines.filter(line => line.includes(`@${leak.id}`));
  assert(found.length > 0, `the list @${leak.id} is not in:\n${output}`);
  console.log(`memlab's unbound-object analysis finds it: ${found[0].trim()}`);
}

async function main(folder) {
  const expected = readExpected(path.join(folder, 'expected'));
  const last = path.join(folder, 's3.heapsnapshot');
  // The standard's own reader says that it is JSON.
  const header = JSON.parse(fs.readFileSync(last, 'utf8')).snapshot;
  const heap = await getFullHeapFromFile(last);
  PluginUtils.calculateRetainedSizes(heap);
  checkCounts(heap, header, expected);
  const leak = checkRetainedSizes(heap, expected);
  await checkGrowth(folder, leak);
}

main(process.argv[2]).catch(error => {
  console.error(error);
  process.exit(1);
});
