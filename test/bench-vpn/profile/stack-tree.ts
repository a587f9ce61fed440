/** Where a function's code lives. */
export type CodeKind = 'kernel' | 'native' | 'script';

export interface Frame {
  readonly name: string;
  readonly kind: CodeKind;
}

/** A function in the place where it was called from, with the weight of all samples in it and below it. */
export interface StackNode {
  readonly frame: Frame;
  weight: number;
  readonly children: Map<string, StackNode>;
}

/** Deeper stacks are cut off: nobody can read them, and a recursion gone wild must not fill the memory. */
const MAX_DEPTH = 128;

/** Stacks of one thread, put together by common callers. */
export class StackTree {
  readonly root: StackNode;

  constructor(name: string) {
    this.root = { frame: { name, kind: 'native' }, weight: 0, children: new Map() };
  }

  /** Adds a sample: the frames from the outermost caller inwards. */
  add(stack: readonly Frame[], weight: number): void {
    let node = this.root;
    node.weight += weight;
    for (const frame of stack.slice(0, MAX_DEPTH)) {
      const key = `${frame.kind} ${frame.name}`;
      const child = node.children.get(key) ?? { frame, weight: 0, children: new Map() };
      node.children.set(key, child);
      child.weight += weight;
      node = child;
    }
  }
}
