import type { LinkStatus, PeerState, StatusReport } from '@kith/protocol';

/**
 * Adds to a report which layer each linked node runs, and says in words what does not work where that is another one than ours.
 * @param own `network.layer` of this node
 * @param measured tincan's measurements: what each peer said inside its link
 */
export function withLayers(
  report: StatusReport,
  own: 2 | 3,
  measured: readonly Pick<PeerState, 'uid' | 'layer'>[],
): StatusReport {
  const layers = new Map(measured.map(({ uid, layer }) => [uid, layer]));
  return {
    ...report,
    node: { ...report.node, layer: own },
    links: report.links.map((link) => withLayer(link, own, layers.get(link.uid) ?? null)),
  };
}

function withLayer(link: LinkStatus, own: 2 | 3, layer: 2 | 3 | null): LinkStatus {
  const differs = layer !== null && layer !== own && link.state === 'online';
  const detail = differs ? (link.detail ?? otherLayer(layer, own)) : link.detail;
  return { ...link, layer, detail };
}

function otherLayer(theirs: 2 | 3, own: 2 | 3): string {
  return `it runs layer ${theirs} and this node layer ${own}: IP packets pass between the two, broadcasts, multicasts and other protocols do not; give both configs the same network.layer`;
}
