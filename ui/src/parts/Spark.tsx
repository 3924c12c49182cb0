// A line without axes: whether an account is busy, at a glance.
const WIDTH = 60;
const HEIGHT = 20;

export function Spark({ values, label }: { values: number[] | undefined; label: string }) {
    if (!values || values.length < 2 || values.every((value) => value === 0)) {
        return <span class="spark" />;
    }
    const top = Math.max(...values, 1);
    const step = (WIDTH - 4) / (values.length - 1);
    const points = values.map((value, at) => {
        const y = HEIGHT - 2 - (value / top) * (HEIGHT - 5);
        return `${(2 + at * step).toFixed(1)} ${y.toFixed(1)}`;
    });
    return (
        <svg class="spark" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} width={WIDTH} height={HEIGHT} role="img">
            <title>{label}</title>
            <path
                d={`M${points.join('L')}`}
                fill="none"
                stroke="currentColor"
                stroke-width="1.3"
                stroke-linejoin="round"
            />
        </svg>
    );
}
