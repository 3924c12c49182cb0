// Builds the console into dist/: index.html, assets with the hash of their content in the name, a
// brotli variant of each, and manifest.json, by which the gateway's build embeds them.
//
//     node build.mjs [--why]      --why: what takes how many bytes; DIST: another directory
import { createHash } from 'node:crypto';
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants } from 'node:zlib';
import * as esbuild from 'esbuild';
import { licenses } from './licenses.mjs';

const root = path.dirname(fileURLToPath(import.meta.url));
const dist = process.env.DIST ? path.resolve(process.env.DIST) : path.join(root, 'dist');
const FIRST_VIEW_MAX = 60 * 1024; // brotli bytes that the first view may take

const APP = 'src/main.tsx';
const STYLE = 'src/styles/index.css';
const THEME = 'src/theme-boot.ts';
const ENTRIES = [APP, STYLE, THEME];

const TYPES = {
    '.html': 'text/html; charset=utf-8',
    '.js': 'text/javascript; charset=utf-8',
    '.css': 'text/css; charset=utf-8',
    '.txt': 'text/plain; charset=utf-8',
};

const shared = {
    absWorkingDir: root,
    bundle: true,
    minify: true,
    metafile: true,
    outdir: path.join(dist, 'assets'),
    entryNames: '[name]-[hash]',
    chunkNames: '[name]-[hash]',
    assetNames: '[name]-[hash]',
    target: ['chrome123', 'firefox120', 'safari17.5'],
    legalComments: 'none', // all licences are in licenses.txt
    logLevel: 'warning',
};

async function bundle() {
    const app = await esbuild.build({
        ...shared,
        entryPoints: { app: APP, style: STYLE },
        format: 'esm',
        splitting: true,
        jsx: 'automatic',
        jsxImportSource: 'preact',
    });
    // The theme is set by a blocking script of its own, before anything is painted.
    const theme = await esbuild.build({
        ...shared,
        entryPoints: { theme: THEME },
        format: 'iife',
    });
    return { ...app.metafile.outputs, ...theme.metafile.outputs };
}

// The built file of each entry point, as index.html names it.
function entries(outputs) {
    const found = {};
    for (const [file, { entryPoint }] of Object.entries(outputs)) {
        // What is loaded later is an entry point to esbuild too.
        if (ENTRIES.includes(entryPoint)) {
            found[entryPoint] = file;
        }
    }
    return found;
}

// What the browser loads before it shows anything: the entry points and all that they import.
function firstView(outputs, names) {
    const seen = new Set();
    const visit = (file) => {
        if (seen.has(file)) {
            return;
        }
        seen.add(file);
        for (const one of outputs[file].imports) {
            if (one.kind === 'import-statement') {
                visit(one.path);
            }
        }
    };
    Object.values(names).forEach(visit);
    return [...seen].map((file) => path.relative(dist, path.join(root, file)));
}

async function writePage(names, first) {
    const asset = (entry) => path.relative(dist, path.join(root, names[entry]));
    const chunks = first.filter((file) => file.includes('/chunk-'));
    const preload = chunks
        .map((file) => `    <link rel="modulepreload" href="${file}" />\n`)
        .join('');
    const page = await readFile(path.join(root, 'public/index.html'), 'utf8');
    const html = page
        .replace('%STYLE%', asset(STYLE))
        .replace('%THEME%', asset(THEME))
        .replace('%APP%', asset(APP))
        .replace('    %PRELOAD%\n', preload);
    await writeFile(path.join(dist, 'index.html'), html);
}

// Each file once more as brotli; what the manifest says of it, and its sizes.
async function compress() {
    const assets = (await readdir(path.join(dist, 'assets'))).sort();
    const files = [];
    const sizes = {};
    for (const file of ['index.html', 'licenses.txt', ...assets.map((name) => `assets/${name}`)]) {
        const bytes = await readFile(path.join(dist, file));
        const br = brotliCompressSync(bytes, {
            params: { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY },
        });
        await writeFile(path.join(dist, `${file}.br`), br);
        sizes[file] = [bytes.length, br.length];
        files.push({
            path: file,
            type: TYPES[path.extname(file)],
            sha256: createHash('sha256').update(bytes).digest('hex'),
            hashed: file.startsWith('assets/'),
        });
    }
    return { files, sizes };
}

function report(sizes, first) {
    let total = 0;
    for (const [file, [raw, br]] of Object.entries(sizes)) {
        const isFirst = first.includes(file) || file === 'index.html';
        total += isFirst ? br : 0;
        const numbers = [raw, br].map((n) => String(n).padStart(8)).join(' ');
        console.log(`${isFirst ? '*' : ' '} ${file.padEnd(36)} ${numbers}`);
    }
    console.log(`first view (*): ${total} bytes of ${FIRST_VIEW_MAX}, brotli`);
    if (total > FIRST_VIEW_MAX) {
        throw new Error('The first view is too large.');
    }
}

await rm(dist, { recursive: true, force: true });
await mkdir(dist, { recursive: true });
const outputs = await bundle();
const names = entries(outputs);
const first = firstView(outputs, names);
await writePage(names, first);
await writeFile(path.join(dist, 'licenses.txt'), await licenses(root, outputs));
const { files, sizes } = await compress();
report(sizes, first);
// Last, as this is the file that says that dist/ is whole.
await writeFile(path.join(dist, 'manifest.json'), `${JSON.stringify({ files }, null, 4)}\n`);
if (process.argv.includes('--why')) {
    console.log(await esbuild.analyzeMetafile({ inputs: {}, outputs }));
}
