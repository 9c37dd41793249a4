import { parse, View, type Spec } from 'vega';
import { compile, type Config, type TopLevelSpec } from 'vega-lite';

/** Colors of the charts by role, from the palette of Okabe and Ito, which color-blind readers can tell apart. */
export const COLORS = {
  readapt: '#0072B2',
  other: '#A3A3A3',
  goal: '#D55E00',
  ink: '#24292F',
  grid: '#E4E4E2',
  background: '#FCFCFB',
} as const;

/** Every chart has a near-white background of its own, so that it looks the same on light and dark pages. */
const THEME: Config = {
  background: COLORS.background,
  padding: 16,
  font: 'system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Arial, sans-serif',
  title: {
    anchor: 'start',
    color: COLORS.ink,
    fontSize: 15,
    fontWeight: 600,
    subtitleColor: '#57606A',
    subtitleFontSize: 12,
    offset: 12,
  },
  axis: {
    labelColor: COLORS.ink,
    titleColor: COLORS.ink,
    labelFontSize: 12,
    titleFontSize: 12,
    titleFontWeight: 'normal',
    gridColor: COLORS.grid,
    domain: false,
    ticks: false,
    labelPadding: 6,
  },
  legend: {
    labelColor: COLORS.ink,
    titleColor: COLORS.ink,
    labelFontSize: 12,
    titleFontSize: 12,
    titleFontWeight: 'normal',
  },
  header: { labelColor: COLORS.ink, titleColor: COLORS.ink, labelFontSize: 12, titleFontSize: 12 },
  text: { color: COLORS.ink, fontSize: 12 },
  view: { stroke: null },
};

/**
 * Draws a Vega-Lite chart in the project's theme, which the specification's own `config` overrides.
 * @returns an SVG document
 * @throws Error if the specification does not compile
 */
export async function renderSvg(spec: TopLevelSpec): Promise<string> {
  const compiled: Spec = compile(spec, { config: THEME }).spec;
  const view = new View(parse(compiled), { renderer: 'none' });
  try {
    return `${await view.toSVG()}\n`;
  } finally {
    view.finalize();
  }
}
