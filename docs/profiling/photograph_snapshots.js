// Takes a picture of two snapshots, compared in the Memory panel of Chromium's
// developer tools: see make_pictures.sh.
//
// usage: photograph_snapshots.js EARLIER LATER PICTURE.png [CHROMIUM]
//
// Needs puppeteer-core where `require` looks (NODE_PATH); it comes with memlab.
'use strict';

const fs = require('fs');
const path = require('path');
const puppeteer = require('puppeteer-core');

// These run in the browser.

async function load(text, name) {
  const ui = await import('/devtools/ui/legacy/legacy.js');
  const profiler = await import('/devtools/panels/profiler/profiler.js');
  await ui.ViewManager.ViewManager.instance().showView('heap-profiler');
  const panel = profiler.HeapProfilerPanel.HeapProfilerPanel.instance();
  await panel.loadFromFile(new File([text], name));
}

// Compares, opens a class, and selects the first new object of it.
async function compare(className) {
  async function until(condition) {
    for (let i = 0; i < 600; i++) {
      const result = condition();
      if (result) return result;
      await new Promise(resolve => setTimeout(resolve, 100));
    }
    throw new Error(`not within a minute: ${condition}`);
  }
  const profiler = await import('/devtools/panels/profiler/profiler.js');
  const panel = profiler.HeapProfilerPanel.HeapProfilerPanel.instance();
  const type = panel.findProfileTypeByExtension('x.heapsnapshot');
  const later = await until(() => type.getProfiles()[1]);
  const view = panel.showProfile(later);
  await until(() => view.constructorsDataGrid.rootNode().children.length);
  await view.changePerspectiveAndWait('Comparison');
  // The list needs less room than what is below.
  view.splitWidget.setSidebarSize(310);
  const row = await until(() =>
    view.diffDataGrid.rootNode().children.find(each => each.name === className),
  );
  row.expand();
  await until(() => row.children.length);
  row.children[0].select();
  await until(() => view.retainmentDataGrid.rootNode().children.length);
}

async function main(earlier, later, picture, chromium) {
  const browser = await puppeteer.launch({
    executablePath: chromium,
    args: ['--no-sandbox', '--remote-debugging-port=0'],
    defaultViewport: {width: 960, height: 640},
  });
  try {
    const {host} = new URL(browser.wsEndpoint());
    const page = await browser.newPage();
    await page.goto(
      `http://${host}/devtools/devtools_app.html?panel=heap-profiler`,
    );
    await page.waitForSelector('.tabbed-pane', {timeout: 60000});
    for (const file of [earlier, later]) {
      await page.evaluate(
        load,
        fs.readFileSync(file, 'utf8'),
        path.basename(file),
      );
    }
    await page.evaluate(compare, 'map');
    // The path to the root opens step by step.
    await new Promise(resolve => setTimeout(resolve, 3000));
    await page.screenshot({path: picture});
  } finally {
    await browser.close();
  }
}

main(...process.argv.slice(2, 5), process.argv[5] || '/usr/bin/chromium').catch(
  error => {
    console.error(error);
    process.exit(1);
  },
);
