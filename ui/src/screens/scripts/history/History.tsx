// What ran, and when: the list, or the generation that the address names.
import { List } from './List';
import { Opened } from './Opened';

export function History({ query }: { query: URLSearchParams }) {
    const wanted = Number(query.get('g'));
    return Number.isSafeInteger(wanted) && wanted > 0 ? (
        <Opened key={wanted} generation={wanted} />
    ) : (
        <List />
    );
}
