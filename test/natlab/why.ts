import { describeError } from '@kith/base';
import type { LinkStatus } from '@kith/protocol';
import type { KithNode } from '../lab/index.ts';

/** One end of a cell: a node and its overlay address. */
export interface End {
  end: 'a' | 'b';
  node: KithNode;
  address: string;
}

/** The node's only link; undefined when it has none, or does not answer. */
export async function situation(node: KithNode): Promise<LinkStatus | undefined> {
  return (await node.status().catch(() => undefined))?.links[0];
}

/** What a node itself says about its situation, in one line. */
export async function accountOf({ end, node }: End): Promise<string> {
  try {
    const { hub, links } = await node.status();
    const [link] = links;
    const parts = [
      `hub ${hub.state}${hub.detail === null ? '' : ` (${hub.detail})`}`,
      link === undefined
        ? 'no link'
        : `link ${link.state}${link.path === null ? '' : ` by ${link.carrier} ${link.path}`}${link.detail === null ? '' : `: ${link.detail}`}`,
      ...(link?.why_path == null ? [] : [link.why_path]),
    ];
    return `${end}: ${parts.join(', ')}`;
  } catch (error) {
    return `${end}: ${describeError(error)}`;
  }
}
