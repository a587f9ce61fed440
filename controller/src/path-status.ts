import type { IceServer, LinkStatus, PathEventStatus, PeerState, StatusReport } from '@kith/protocol';
import type { LinkStories } from './link-stories.ts';
import type { PeerView } from './status-report.ts';
import { whyPath } from './why-path.ts';

/** Nodes whose events one question may ask for: the nodes of one member. */
const MAX_STORIES = 16;

/** Fewest digits of a UID that name a node. */
const LEAST_UID_DIGITS = 4;

export interface PathParts {
  /** tincan's measurements. */
  measured: readonly PeerState[];
  peers: readonly PeerView[];
  servers: readonly IceServer[];
  /** `monotonicMs()` of the report. */
  now: number;
}

/** The report with why each link has no direct path, as far as that is known. Pure. */
export function withPaths(report: StatusReport, { measured, peers, servers, now }: PathParts): StatusReport {
  const states = new Map(measured.map((state) => [state.uid, state]));
  const views = new Map(peers.map((view) => [view.uid, view]));
  const mine = report.node.network ?? null;
  const hubOnline = report.hub.state === 'online';
  const explained = (link: LinkStatus): LinkStatus => {
    const state = states.get(link.uid);
    const view = views.get(link.uid);
    const theirs = state?.network ?? view?.network ?? null;
    const why_path = whyPath({
      ...{ peer: personOf(link), state: link.state, carrier: link.carrier, relayed: state?.relayed ?? false },
      ...{ ageMs: ageOf(link, state, view, now), mine, theirs, hubOnline, servers },
      answered: view?.answered ?? false,
      failure: view?.state.is === 'waiting' ? view.state.reason : (view?.lastFailure ?? null),
    });
    return { ...link, why_path, network: theirs };
  };
  return { ...report, links: report.links.map(explained) };
}

function ageOf(
  link: LinkStatus,
  state: PeerState | undefined,
  view: PeerView | undefined,
  now: number,
): number | null {
  if (link.state === 'online') return state?.last_time === undefined ? null : state.last_time * 1000;
  return view?.state.is === 'connecting' ? now - view.state.since : null;
}

/** `bob` of bob@example.org. */
function personOf({ name }: LinkStatus): string {
  return name.split('@')[0] ?? name;
}

/** The links that a person means: by the member's JID, the part of it before the @, or the first digits of the node's UID. */
export function linksNamed(links: readonly LinkStatus[], name: string): LinkStatus[] {
  const wanted = name.toLowerCase();
  return links.filter(
    (link) =>
      link.name.toLowerCase() === wanted ||
      personOf(link).toLowerCase() === wanted ||
      (wanted.length >= LEAST_UID_DIGITS && link.uid.startsWith(wanted)),
  );
}

/**
 * The report with the last events of the links that a name stands for.
 * @param ask what tincan saw on the way to a node; may reject
 */
export async function withEvents(
  report: StatusReport,
  name: string,
  stories: LinkStories,
  ask: (uid: string) => Promise<readonly PathEventStatus[]>,
): Promise<StatusReport> {
  const wanted = linksNamed(report.links, name).slice(0, MAX_STORIES);
  const told = new Map<LinkStatus, PathEventStatus[]>();
  await Promise.all(
    wanted.map(async (link) => {
      const tincans = await ask(link.uid).catch(() => []);
      told.set(link, stories.merged(link.uid, tincans));
    }),
  );
  const links = report.links.map((link) => {
    const events = told.get(link);
    return events === undefined ? link : { ...link, events };
  });
  return { ...report, links };
}
