// The lines of two texts, with equal parts folded; a fold opens by a click.
import { useMemo, useState } from 'preact/hooks';
import { t } from '../../../i18n';
import type { Layout } from './layout';
import type { Fold, Pair, Row } from './rows';
import { SplitRows } from './SplitRows';
import { UnifiedRows } from './UnifiedRows';

const SHOWN_MAX = 600; // pairs of lines, until somebody asks for more

type Block = Fold | Pair[];

// Pairs of one kind that follow each other, and folds. At most `room` pairs.
function blocksOf(rows: Row[], opened: Set<number>, room: number): Block[] {
    const blocks: Block[] = [];
    let left = room;
    const add = (pair: Pair) => {
        const last = blocks.at(-1);
        if (Array.isArray(last) && last[0].kind === pair.kind) {
            last.push(pair);
        } else {
            blocks.push([pair]);
        }
    };
    for (const row of rows) {
        if (left <= 0) {
            break;
        }
        if (row.kind !== 'fold') {
            add(row);
            left--;
        } else if (opened.has(row.id)) {
            row.pairs.slice(0, left).forEach(add);
            left -= row.pairs.length;
        } else {
            blocks.push(row);
        }
    }
    return blocks;
}

const countOf = (rows: Row[], opened: Set<number>) =>
    rows.reduce((sum, row) => {
        const isFolded = row.kind === 'fold' && !opened.has(row.id);
        return sum + (isFolded ? 0 : row.kind === 'fold' ? row.pairs.length : 1);
    }, 0);

interface FoldProps {
    fold: Fold;
    span: number;
    onOpen: () => void;
}

function FoldRow({ fold, span, onOpen }: FoldProps) {
    return (
        <tr class="line-fold">
            <td colSpan={span}>
                <button onClick={onOpen}>{t('chg.same', { n: fold.pairs.length })}</button>
            </td>
        </tr>
    );
}

function Columns({ isSplit }: { isSplit: boolean }) {
    const kinds = isSplit ? ['number', 'text', 'number', 'text'] : ['number', 'number', 'text'];
    return (
        <colgroup>
            {kinds.map((kind, at) => (
                <col key={at} class={`col-${kind}`} />
            ))}
        </colgroup>
    );
}

interface Props {
    name: string;
    titles: [string, string];
    rows: Row[];
    layout: Layout;
}

export function DiffTable({ name, titles, rows, layout }: Props) {
    const [opened, setOpened] = useState<Set<number>>(new Set());
    const [room, setRoom] = useState(SHOWN_MAX);
    const blocks = useMemo(() => blocksOf(rows, opened, room), [rows, opened, room]);
    const more = countOf(rows, opened) - room;
    const isSplit = layout === 'split';
    const span = isSplit ? 4 : 3;
    const Rows = isSplit ? SplitRows : UnifiedRows;
    return (
        <>
            <table class={`compared is-${layout}`} aria-label={name}>
                <Columns isSplit={isSplit} />
                {isSplit && (
                    <thead>
                        <tr>
                            {titles.map((title) => (
                                <th key={title} scope="col" colSpan={2}>
                                    {title}
                                </th>
                            ))}
                        </tr>
                    </thead>
                )}
                <tbody>
                    {blocks.map((block, at) =>
                        Array.isArray(block) ? (
                            <Rows key={at} pairs={block} />
                        ) : (
                            <FoldRow
                                key={at}
                                fold={block}
                                span={span}
                                onOpen={() => setOpened(new Set([...opened, block.id]))}
                            />
                        ),
                    )}
                </tbody>
            </table>
            {more > 0 && (
                <footer class="panel-foot">
                    <button onClick={() => setRoom(room + 4 * SHOWN_MAX)}>
                        {t('chg.more', { n: more })}
                    </button>
                </footer>
            )}
        </>
    );
}
