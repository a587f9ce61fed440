import { resolve } from 'node:path';
import { z } from 'zod';
import { isFlat } from './flat.ts';
import { flatConfig } from './flat-schema.ts';
import { check } from './issues.ts';
import { parseJson } from './json-text.ts';
import { ConfigProblems } from './problem.ts';
import { readTextFile } from './read-file.ts';
import { directoriesOf, nameOf } from './resolve.ts';
import { nativeConfig } from './schema.ts';

/** What has to be known of a network to speak with what runs of it. */
export interface NetworkPlace {
  name: string;
  /** Absolute path of the config file. */
  file: string;
  state_dir: string;
  runtime_dir: string;
  /** UDP port of tincan's API on 127.0.0.1. */
  api_port: number;
}

const placeConfig = z.object({
  name: nativeConfig.shape.name,
  api: nativeConfig.shape.api,
  process: nativeConfig.shape.process,
});
const flatPlace = z.object({ svpn_port: flatConfig.shape.svpn_port });

/**
 * Where the network of a config file keeps its files. Reads no secret and checks nothing else, so that a network can be asked
 * and ended where its password is not at hand, or after its config was spoilt.
 * Throws ConfigError CONFIG_FILE, CONFIG_DENIED, CONFIG_SYNTAX or CONFIG_INVALID.
 */
export function locateNetwork(file: string): NetworkPlace {
  const written = parseJson(readTextFile(file, '(file)').text, file);
  const checked = check(placeConfig, isFlat(written) ? placeOfFlat(written, file) : written);
  if (!checked.ok) throw new ConfigProblems('CONFIG_INVALID', file, checked.problems);
  const absolute = resolve(file);
  const { name = nameOf(absolute), api, process } = checked.value;
  return { name, file: absolute, ...directoriesOf(process, name, absolute), api_port: api.port };
}

/** The part of a flat config's native form that says where things are: it can only name the port. */
function placeOfFlat(written: unknown, file: string): object {
  const checked = check(flatPlace, written);
  if (!checked.ok) throw new ConfigProblems('CONFIG_INVALID', file, checked.problems);
  const port = checked.value.svpn_port;
  return port === undefined ? {} : { api: { port } };
}
