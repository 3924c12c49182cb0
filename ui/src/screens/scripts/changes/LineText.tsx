// A line of Lua in its colours, with what differs in it marked. What would not be seen, or would turn
// the text around, is shown by its number.
import { t } from '../../../i18n';
import type { Span, Word } from './lua';
import type { Line } from './rows';

interface Piece {
    text: string;
    word: Word | '';
    isMarked: boolean;
}

const UNSEEN = /[\0-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

function seen(text: string): string {
    return text.replace(UNSEEN, (one) => {
        const code = one.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0');
        return `⟨U+${code}⟩`;
    });
}

// The parts between all columns where a colour or a mark begins or ends.
function piecesOf({ text, spans, marks }: Line): Piece[] {
    const ends = [...spans.flatMap((one) => [one.from, one.to]), ...marks.flat(), 0, text.length];
    const cuts = [...new Set(ends)].sort((a, b) => a - b);
    let span = 0;
    let mark = 0;
    return cuts.slice(1).map((to, at) => {
        const from = cuts[at];
        while (spans[span]?.to <= from) {
            span++;
        }
        while (marks[mark]?.[1] <= from) {
            mark++;
        }
        const colour: Span | undefined = spans[span];
        const marked: [number, number] | undefined = marks[mark];
        return {
            text: seen(text.slice(from, to)),
            word: colour && colour.from <= from ? colour.word : '',
            isMarked: marked !== undefined && marked[0] <= from,
        };
    });
}

function OnePiece({ text, word, isMarked }: Piece) {
    const coloured = word ? <span class={`lua-${word}`}>{text}</span> : <>{text}</>;
    return isMarked ? <mark>{coloured}</mark> : coloured;
}

export function LineText({ line }: { line: Line }) {
    return (
        <>
            {piecesOf(line).map((piece, at) => (
                <OnePiece key={at} {...piece} />
            ))}
            {line.isUnended && line.marks.length === 0 && (
                <small class="line-unended" title={t('chg.unended')}>
                    ⌁<span class="unseen">{t('chg.unended')}</span>
                </small>
            )}
        </>
    );
}
