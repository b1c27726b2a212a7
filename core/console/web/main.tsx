import { render } from 'preact';
import { App } from './app.tsx';
import '../../../web/style.css';
import './style.css';

const root = document.getElementById('console') as HTMLElement;
root.replaceChildren();
render(<App />, root);
