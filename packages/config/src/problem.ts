import { ConfigError } from '@kith/base';

/** One thing that is wrong with a config: where, and what a person should know to mend it. Never holds a secret's value. */
export interface Problem {
  /** Dotted key path, or `(file)` for the file as a whole. */
  readonly path: string;
  readonly message: string;
}

/** All that is wrong with one config file. `field` is the first problem's path. */
export class ConfigProblems extends ConfigError {
  readonly problems: readonly Problem[];

  constructor(code: string, file: string, problems: readonly Problem[]) {
    const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`;
    const lines = problems.map((problem) => `  ${problem.path}: ${problem.message}`);
    super(code, [`${file} has ${count}:`, ...lines].join('\n'), { field: problems[0]?.path });
    this.problems = problems;
  }
}
