// Which lines differ. The shortest way from one list to the other is searched for (Myers, 1986); where
// it is very long, everything between the common ends counts as replaced.

const STEPS_MAX = 1500; // memory and time grow with its square

// What stands from `a` on in the first list, and is replaced by what stands from `b` on in the second.
export interface Change {
    a: number;
    aEnd: number;
    b: number;
    bEnd: number;
}

type List = readonly string[];

// How far each diagonal has come, before each step; null: too many steps.
function search(a: List, b: List, steps: number): Int32Array[] | null {
    const most = Math.min(a.length + b.length, steps);
    const middle = most + 1;
    const reach = new Int32Array(2 * most + 3);
    const trail: Int32Array[] = [];
    for (let step = 0; step <= most; step++) {
        trail.push(reach.slice(middle - step - 1, middle + step + 2));
        for (let k = -step; k <= step; k += 2) {
            const isDown = k === -step || (k !== step && reach[middle + k - 1] < reach[middle + k + 1]);
            let x = isDown ? reach[middle + k + 1] : reach[middle + k - 1] + 1;
            while (x < a.length && x - k < b.length && a[x] === b[x - k]) {
                x++;
            }
            reach[middle + k] = x;
            if (x >= a.length && x - k >= b.length) {
                return trail;
            }
        }
    }
    return null;
}

interface Flags {
    gone: Uint8Array;
    fresh: Uint8Array;
}

// Goes the way back, and notes what it removes and adds.
function retrace(trail: Int32Array[], x: number, y: number): Flags {
    const flags = { gone: new Uint8Array(x), fresh: new Uint8Array(y) };
    for (let step = trail.length - 1; step > 0; step--) {
        const reach = trail[step];
        const at = step + 1 + x - y;
        const isDown = x - y === -step || (x - y !== step && reach[at - 1] < reach[at + 1]);
        const fromX = isDown ? reach[at + 1] : reach[at - 1];
        const fromY = fromX - (x - y + (isDown ? 1 : -1));
        if (isDown) {
            flags.fresh[fromY] = 1;
        } else {
            flags.gone[fromX] = 1;
        }
        x = fromX;
        y = fromY;
    }
    return flags;
}

function everything(a: List, b: List): Flags {
    return { gone: new Uint8Array(a.length).fill(1), fresh: new Uint8Array(b.length).fill(1) };
}

function gather({ gone, fresh }: Flags, offset: number): Change[] {
    const changes: Change[] = [];
    let a = 0;
    let b = 0;
    while (a < gone.length || b < fresh.length) {
        const from = { a, b };
        while (gone[a]) {
            a++;
        }
        while (fresh[b]) {
            b++;
        }
        if (a > from.a || b > from.b) {
            const { a: fromA, b: fromB } = from;
            changes.push({ a: fromA + offset, aEnd: a + offset, b: fromB + offset, bEnd: b + offset });
        } else {
            a++;
            b++;
        }
    }
    return changes;
}

// What is only added or only removed moves down as far as it may: "if ... end" reads better than
// "end if ...".
function slide(change: Change, next: Change | undefined, a: List, b: List): void {
    const isAdded = change.a === change.aEnd;
    if (!isAdded && change.b !== change.bEnd) {
        return;
    }
    const list = isAdded ? b : a;
    const end = (isAdded ? next?.b : next?.a) ?? list.length;
    let [from, to] = isAdded ? [change.b, change.bEnd] : [change.a, change.aEnd];
    while (to < end && list[from] === list[to]) {
        from++;
        to++;
    }
    const moved = from - (isAdded ? change.b : change.a);
    change.a += moved;
    change.aEnd += moved;
    change.b += moved;
    change.bEnd += moved;
}

// In order; between two changes both lists are the same.
export function compare(a: List, b: List, steps = STEPS_MAX): Change[] {
    const shorter = Math.min(a.length, b.length);
    let head = 0;
    while (head < shorter && a[head] === b[head]) {
        head++;
    }
    let tail = 0;
    while (tail < shorter - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) {
        tail++;
    }
    const innerA = a.slice(head, a.length - tail);
    const innerB = b.slice(head, b.length - tail);
    const trail = search(innerA, innerB, steps);
    const flags = trail ? retrace(trail, innerA.length, innerB.length) : everything(innerA, innerB);
    const changes = gather(flags, head);
    changes.forEach((change, at) => slide(change, changes[at + 1], a, b));
    return changes;
}
