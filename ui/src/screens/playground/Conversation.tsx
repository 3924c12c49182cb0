// The questions and their answers. It stays at its end while answers come, unless somebody has scrolled
// back.
import { useLayoutEffect, useRef } from 'preact/hooks';
import { t } from '../../i18n';
import { AnswerView } from './AnswerView';
import { type Turn, turns } from './talk';
import { EmptyTalk } from './EmptyTalk';

const NEAR = 48; // pixels from the end that still count as the end

function Question({ text }: { text: string }) {
    return (
        <div class="play-question">
            <span class="unseen">{t('play.you')}</span>
            {text}
        </div>
    );
}

function OneTurn({ turn }: { turn: Turn }) {
    return (
        <li>
            <Question text={turn.question} />
            <AnswerView turn={turn} />
        </li>
    );
}

// What is read aloud: that an answer comes, and that it is there. Its text is read where it stands.
function Announcement() {
    const last = turns.value.at(-1)?.answer;
    const state = last?.state.value;
    const text = !state ? '' : last.isRunning ? t('play.busy') : state === 'done' ? t('play.ready') : '';
    return (
        <p class="unseen" role="status">
            {text}
        </p>
    );
}

export function Conversation() {
    const box = useRef<HTMLDivElement>(null);
    const inner = useRef<HTMLOListElement>(null);
    const isAtEnd = useRef(true);
    const count = turns.value.length;
    useLayoutEffect(() => {
        isAtEnd.current = true; // of a question of one's own
        box.current?.scrollTo(0, box.current.scrollHeight);
    }, [count]);
    useLayoutEffect(() => {
        if (!inner.current) {
            return undefined;
        }
        // Told after the layout of a frame: asking for the height costs nothing then.
        const observer = new ResizeObserver(() => {
            if (isAtEnd.current) {
                box.current?.scrollTo(0, box.current.scrollHeight);
            }
        });
        observer.observe(inner.current);
        return () => observer.disconnect();
    }, []);
    const onScroll = (event: Event) => {
        const { scrollTop, clientHeight, scrollHeight } = event.currentTarget as HTMLElement;
        isAtEnd.current = scrollTop + clientHeight > scrollHeight - NEAR;
    };
    return (
        <div
            ref={box}
            class="play-talk"
            tabIndex={0}
            role="region"
            aria-label={t('play.talk')}
            onScroll={onScroll}
        >
            <Announcement />
            {count === 0 && <EmptyTalk />}
            <ol ref={inner}>
                {turns.value.map((turn) => (
                    <OneTurn key={turn.key} turn={turn} />
                ))}
            </ol>
        </div>
    );
}
