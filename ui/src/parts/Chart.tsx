// A stacked bar chart. Loaded when the first one is shown.
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import { lang } from '../i18n';
import { num } from '../i18n/format';
import { paint } from '../theme';

const HEIGHT = 168;
const SMALLEST_TOP = 5; // so that one request does not look like a storm

export interface Layer {
    label: string;
    color: string; // a custom property of the style sheet
    values: number[];
    shown?: number[]; // in the legend, where that is not the layer's height
}

export interface ChartProps {
    timeLabel: string;
    times: number[]; // ms
    step: number; // ms
    layers: Layer[]; // from the top of the stack to its foot
    writeTime: (at: number) => string;
    writeTick: (at: number) => string;
}

// The canvas needs the colour itself: the browser resolves the property on an element.
function colorOf(property: string): string {
    const probe = document.createElement('i');
    probe.style.color = `var(${property})`;
    document.body.append(probe);
    const { color } = getComputedStyle(probe);
    probe.remove();
    return color;
}

function innerWidthOf(element: HTMLElement): number {
    const { paddingLeft, paddingRight } = getComputedStyle(element);
    return element.clientWidth - parseFloat(paddingLeft) - parseFloat(paddingRight);
}

// Each layer's own values, added up from the foot: the highest is drawn first, behind the others.
function stack(layers: Layer[]): number[][] {
    const sums: number[][] = [];
    let below = new Array<number>(layers[0].values.length).fill(0);
    for (const { values } of [...layers].reverse()) {
        below = below.map((sum, at) => sum + (values[at] ?? 0));
        sums.unshift(below);
    }
    return sums;
}

function series({ label, color, values, shown }: Layer, paths: uPlot.Series.PathBuilder): uPlot.Series {
    const shade = colorOf(color);
    return {
        label,
        fill: shade,
        stroke: shade,
        width: 0,
        paths,
        points: { show: false },
        value: (_plot, _raw, _series, at) =>
            at === null || at === undefined ? '' : num((shown ?? values)[at] ?? 0),
    };
}

function options(props: ChartProps, width: number): uPlot.Options {
    const ink = colorOf('--ink-3');
    const line = colorOf('--line');
    const font = `11px ${getComputedStyle(document.body).fontFamily}`;
    const half = props.step / 2000;
    const bars = uPlot.paths.bars?.({ size: [0.72, 9], gap: 1 });
    return {
        width,
        height: HEIGHT,
        padding: [10, 16, 0, 0],
        cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
        legend: { live: true },
        scales: {
            x: { range: (_plot, from, to) => [from - half, to + half] },
            y: { range: (_plot, _from, to) => [0, Math.max(SMALLEST_TOP, to * 1.12)] },
        },
        axes: [
            {
                stroke: ink,
                font,
                grid: { show: false },
                ticks: { stroke: line, size: 4 },
                size: 28,
                space: 80,
                values: (_plot, at) => at.map((s) => props.writeTick(s * 1000)),
            },
            {
                stroke: ink,
                font,
                grid: { stroke: line, width: 1 },
                ticks: { show: false },
                size: 40,
                space: 36,
                incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 50_000, 100_000],
            },
        ],
        series: [
            {
                label: props.timeLabel,
                value: (_plot, s) => (s === null || s === undefined ? '' : props.writeTime(s * 1000)),
            },
            ...(bars ? props.layers.map((layer) => series(layer, bars)) : []),
        ],
    };
}

export function Chart(props: ChartProps) {
    const ref = useRef<HTMLDivElement>(null);
    const painted = paint.value;
    const language = lang.value;
    useEffect(() => {
        const element = ref.current;
        if (!element || props.layers.length === 0) {
            return undefined;
        }
        const seconds = props.times.map((at) => at / 1000);
        const plot = new uPlot(
            options(props, innerWidthOf(element)),
            [seconds, ...stack(props.layers)],
            element,
        );
        const observer = new ResizeObserver(() =>
            plot.setSize({ width: innerWidthOf(element), height: HEIGHT }),
        );
        observer.observe(element);
        return () => {
            observer.disconnect();
            plot.destroy();
        };
    }, [props.times, props.layers, painted, language]);
    return <div class="chart" ref={ref} aria-hidden="true" />;
}
