// All texts of a generation, to be read.
import { useMemo } from 'preact/hooks';
import type { Files } from '../../../api/scripts';
import { t } from '../../../i18n';
import { LineText } from '../changes/LineText';
import { linesOf, numbered } from '../changes/rows';

function Lines({ name, text }: { name: string; text: string }) {
    const lines = useMemo(() => numbered(linesOf(text)), [text]);
    return (
        <table class="compared is-plain" aria-label={name}>
            <tbody>
                {lines.map((line) => (
                    <tr key={line.number}>
                        <td class="line-number">{line.number}</td>
                        <td class="line-text">
                            <LineText line={line} />
                        </td>
                    </tr>
                ))}
            </tbody>
        </table>
    );
}

export function FileTexts({ files }: { files: Files }) {
    const names = Object.keys(files).sort();
    return (
        <>
            {names.length === 0 && <p class="hint panel-note">{t('hist.nofiles')}</p>}
            {names.map((name) => (
                <article key={name} class="file-diff" aria-label={name}>
                    <header>
                        <h2>{name}</h2>
                    </header>
                    <Lines name={name} text={files[name]} />
                </article>
            ))}
        </>
    );
}
