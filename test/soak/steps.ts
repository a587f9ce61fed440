/** What can be done to one node. */
export const NODE_STEPS = [
  'up',
  'down',
  'kill-tincan',
  'kill-controller',
  'kill-supervisor',
  'cable-out',
  'cable-in',
  'loss-begin',
  'loss-end',
  'admit',
  'revoke',
] as const;
/** `hub-stop` lets ejabberd end in good order, `hub-kill` is a power failure. */
export const HUB_STEPS = ['hub-stop', 'hub-kill', 'hub-start'] as const;

export type NodeStepKind = (typeof NODE_STEPS)[number];
export type HubStepKind = (typeof HUB_STEPS)[number];

export type Step =
  | { readonly kind: NodeStepKind; readonly node: number; readonly percent?: number }
  | { readonly kind: HubStepKind };

export interface PlannedStep {
  /** Milliseconds after the start of the plan; a step begins later when those before it take their time. */
  readonly atMs: number;
  readonly step: Step;
}

export function nodeName(index: number): string {
  return `n${index + 1}`;
}

export function describeStep(step: Step): string {
  if (!('node' in step)) return step.kind;
  return `${step.kind} ${nodeName(step.node)}${step.percent === undefined ? '' : ` ${step.percent} %`}`;
}
