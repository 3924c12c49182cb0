// The request bodies that the bench sends. The upstream chooses its answer by the model name.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { dir, root } from './processes.mjs';

const sentence = 'The gate stands open and people walk through it all day long until evening. ';
const CAPTURED = 95216;

function write(name, text) {
    const path = join(dir, name);
    writeFileSync(path, text);
    return path;
}

// A chat request of exactly `size` bytes with one long message made of `unit`.
function chat(model, size, unit, stream = false) {
    const open = `{"model":"${model}",${stream ? '"stream":true,' : ''}` +
        '"messages":[{"role":"user","content":"';
    const shut = '"}]}';
    const room = size - open.length - shut.length;
    const whole = unit.repeat(Math.floor(room / unit.length));
    return open + whole + 'x'.repeat(room - whole.length) + shut;
}

// Like code in a prompt: an escape every dozen characters.
const escapes = '    if (name == \\"gate\\") {\\n\\treturn \\"open\\\\n\\";\\n    } \\u00e9\\u4f60 ';

// A request that a real coding client made, if the recordings are there; else one of the same size
// that is full of escapes.
function captured(model) {
    const recordings = process.env.LLM_GATE_RECORDINGS || join(root, '..', 'shared');
    const path = join(recordings, 'captures', 'qwen-agent-06.json');
    if (!existsSync(path)) {
        return { text: chat(model, CAPTURED, escapes, true), source: 'own request, 95 KB' };
    }
    const text = readFileSync(path, 'utf8')
        .replace(/^\{"model":"[^"]*"/, () => `{"model":"${model}"`);
    return { text, source: 'captured request, 95 KB' };
}

export function makeBodies() {
    const real = captured('bench-burst');
    const plain = captured('bench-json').text.replace(/"stream":true/, '"stream":false')
        .replace(/"stream_options":\{[^}]*\},/, '');
    return {
        small: write('small.json', chat('bench-json', 1024, sentence)),
        large: write('large.json', chat('bench-json', 100 * 1024, sentence)),
        captured: write('captured.json', real.text),
        capturedPlain: write('captured-plain.json', plain),
        capturedSource: real.source,
        events: write('events.json', chat('bench-events', 1024, sentence, true)),
        short: write('short.json', chat('bench-short', 1024, sentence, true)),
        hold: write('hold.json', chat('bench-hold', 1024, sentence, true)),
    };
}
