import { escapeXml, px } from '../svg.ts';
import type { StackNode, StackTree } from './stack-tree.ts';

// Pixels.
const WIDTH = 1200;
const ROW_HEIGHT = 16;
const TOP = 24;
/** A narrower frame can be neither seen nor pointed at. */
const MIN_WIDTH = 0.4;
/** About the width of a character of the font below. */
const CHARACTER = 6.2;

const STYLE = `text{font:10px ui-monospace,monospace}.h{font:13px system-ui,sans-serif}rect{stroke:#fff;stroke-width:.5}
.kernel{fill:#f0a860}.native{fill:#9db8d9}.script{fill:#8fce8f}`;

/**
 * A flame graph: callers above, width is share of the thread's samples; kernel orange, machine code blue, JavaScript green. The full
 * name and share of each frame show when the pointer rests on it.
 */
export function flameGraph(title: string, tree: StackTree): string {
  const parts: string[] = [];
  const scale = WIDTH / Math.max(1, tree.root.weight);
  let deepest = 0;
  const draw = (node: StackNode, x: number, depth: number): void => {
    const width = node.weight * scale;
    if (width < MIN_WIDTH) return;
    deepest = Math.max(deepest, depth);
    parts.push(box(node, x, TOP + depth * ROW_HEIGHT, width, tree.root.weight));
    let childX = x;
    // By name, so that two graphs of the same code look alike.
    for (const child of [...node.children.values()].sort(byName)) {
      draw(child, childX, depth + 1);
      childX += child.weight * scale;
    }
  };
  draw(tree.root, 0, 0);
  const height = TOP + (deepest + 1) * ROW_HEIGHT + 4;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}"><style>${STYLE}</style><rect width="${WIDTH}" height="${height}" fill="#fff"/>
<text class="h" x="4" y="16">${escapeXml(title)}</text>
${parts.join('\n')}
</svg>
`;
}

function byName(one: StackNode, other: StackNode): number {
  return one.frame.name < other.frame.name ? -1 : 1;
}

function box({ frame, weight }: StackNode, x: number, y: number, width: number, total: number): string {
  const share = `${((100 * weight) / total).toFixed(1)} %`;
  const fits = Math.floor((width - 4) / CHARACTER);
  const label =
    fits < 3 ? '' : `<text x="${px(x + 2)}" y="${y + 11}">${escapeXml(frame.name.slice(0, fits))}</text>`;
  return `<g><title>${escapeXml(frame.name)} ${share}</title><rect class="${frame.kind}" x="${px(x)}" y="${y}" width="${px(width)}" height="${ROW_HEIGHT - 1}"/>${label}</g>`;
}
