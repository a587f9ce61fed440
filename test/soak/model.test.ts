import { expect, test } from 'vitest';
import { APART_MS, CONTROLLER_BACK_MS, HUB_BACK_MS, ONLINE_WITHIN_MS, REVOKED_MS } from './bounds.ts';
import { SoakModel } from './model.ts';
import type { Step } from './steps.ts';

const UP = { running: true, member: true };
const LONG_AGO = -1e6;

function model(...nodes: { running: boolean; member: boolean }[]): SoakModel {
  return new SoakModel(nodes, LONG_AGO);
}

function strike(of: SoakModel, step: Step, from: number, until = from): void {
  of.begin(step, from);
  of.done(step, until);
}

test('running members must be online once their start is over', () => {
  const young = new SoakModel([UP, UP], 0);
  expect(young.pair(0, 1, 0)).toBe('open');
  expect(young.pair(0, 1, ONLINE_WITHIN_MS.up ?? 0)).toBe('online');
});

test('a node with its cable out may be anything; with it in again it must be online within the bound', () => {
  const it = model(UP, UP, UP);
  strike(it, { kind: 'cable-out', node: 1 }, 0);
  expect(it.pair(0, 1, 1e9)).toBe('open');
  expect(it.pair(0, 2, 1e9)).toBe('online');
  strike(it, { kind: 'cable-in', node: 1 }, 10_000);
  expect(it.pair(0, 1, 10_000 + (ONLINE_WITHIN_MS['cable-in'] ?? 0) - 1)).toBe('open');
  expect(it.pair(1, 0, 10_000 + (ONLINE_WITHIN_MS['cable-in'] ?? 0))).toBe('online');
});

test('a link that was there outlives the hub; one that was not must be there after it is back', () => {
  const it = model(UP, UP, UP);
  strike(it, { kind: 'kill-tincan', node: 2 }, 0);
  strike(it, { kind: 'hub-kill' }, 1_000);
  expect(it.pair(0, 1, 1_001)).toBe('online');
  expect(it.pair(0, 2, 900_000)).toBe('open');
  strike(it, { kind: 'hub-start' }, 900_000, 901_000);
  expect(it.pair(0, 2, 901_000 + HUB_BACK_MS - 1)).toBe('open');
  expect(it.pair(0, 2, 901_000 + HUB_BACK_MS)).toBe('online');
});

test('a controller that is killed takes no link with it, and must answer again within its bound', () => {
  const it = model(UP, UP);
  strike(it, { kind: 'kill-controller', node: 0 }, 0);
  expect(it.pair(0, 1, 1)).toBe('online');
  expect(it.mustAnswer(0, CONTROLLER_BACK_MS - 1)).toBe(false);
  expect(it.mustAnswer(0, CONTROLLER_BACK_MS)).toBe(true);
  expect(it.mustAnswer(1, 1)).toBe(true);
});

test('a removed member of quiet times must be apart at once; in unquiet times after a silence', () => {
  const quiet = model(UP, UP);
  strike(quiet, { kind: 'revoke', node: 1 }, 0, 100);
  expect(quiet.pair(0, 1, 99 + REVOKED_MS)).toBe('open');
  expect(quiet.pair(0, 1, 100 + REVOKED_MS)).toBe('apart');

  const unquiet = model(UP, UP);
  strike(unquiet, { kind: 'cable-out', node: 1 }, -10);
  strike(unquiet, { kind: 'revoke', node: 1 }, 0, 100);
  expect(unquiet.pair(0, 1, 99 + APART_MS)).toBe('open');
  expect(unquiet.pair(0, 1, 100 + APART_MS)).toBe('apart');
});

test('while the hub is away nobody can know who was removed', () => {
  const it = model(UP, UP);
  strike(it, { kind: 'revoke', node: 1 }, 0, 100);
  strike(it, { kind: 'hub-kill' }, 200);
  expect(it.pair(0, 1, 1e9)).toBe('open');
});

test('who is removed and admitted again must be online again; who is down must not be shown as linked', () => {
  const it = model(UP, UP);
  strike(it, { kind: 'revoke', node: 1 }, 0);
  strike(it, { kind: 'admit', node: 1 }, 1_000);
  expect(it.pair(0, 1, 1_000 + (ONLINE_WITHIN_MS.admit ?? 0))).toBe('online');
  strike(it, { kind: 'down', node: 1 }, 50_000, 51_000);
  expect(it.pair(0, 1, 51_000)).toBe('open');
  expect(it.pair(0, 1, 51_000 + APART_MS)).toBe('apart');
  expect(it.isRunning(1)).toBe(false);
  expect(it.mustAnswer(1, 1e9)).toBe(false);
});
