// "routing.lua:2", as a way to that line in the editor.
import { address } from '../../../router';

export function SourceLink({ file, line }: { file: string; line: number }) {
    return <a href={address('scripts', { file, line: String(line) })}>{`${file}:${line}`}</a>;
}
