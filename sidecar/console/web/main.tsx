import { render } from 'preact';
import { App } from './app.tsx';
import 'uplot/dist/uPlot.min.css';
import '../../../web/style.css';
import './style.css';

const root = document.getElementById('console') as HTMLElement;
root.replaceChildren();
render(<App />, root);
