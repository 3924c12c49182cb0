import { render } from 'preact';
import { App } from './app/App';
import { start } from './live/sync';

const root = document.getElementById('app');
if (root) {
    start();
    render(<App />, root);
}
