import { controllerStart, type KithConfig, tincanStart } from '@kith/config';
import { CONTROLLER_MAIN } from '@kith/controller';
import { TINCAN_MAIN } from '@kith/tincan';
import type { ChildSpec } from './supervised-child.ts';

/** The two processes of a network. */
export function networkProcesses(config: KithConfig): ChildSpec[] {
  const { uid, gid } = config.process;
  return [
    { name: 'tincan', main: TINCAN_MAIN, document: JSON.stringify(tincanStart(config, { uid, gid })) },
    {
      name: 'controller',
      main: CONTROLLER_MAIN,
      document: JSON.stringify(controllerStart(config, { uid, gid })),
    },
  ];
}
