import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CREDIT_WINDOW, CreditReceiver, CreditSender } from './credit.ts';

test('a sender that hears nothing stops after one window', () => {
  const sender = new CreditSender();
  for (let i = 0; i < CREDIT_WINDOW; i++) {
    expect(sender.open).toBe(true);
    sender.take();
  }
  expect(sender.open).toBe(false);
});

test('a window that was lost whole is granted again once the sender says how much it sent', () => {
  const sender = new CreditSender();
  const receiver = new CreditReceiver();
  while (sender.open) sender.take();
  expect(receiver.peerSent(sender.sent)).toBe(true);
  sender.credit(receiver.report());
  expect(sender.open).toBe(true);
  expect(sender.lossPerMille).toBeGreaterThan(0);
});

test('a receiver refuses numbers beyond its grant, and a sender ignores reports that cannot be true', () => {
  const receiver = new CreditReceiver();
  expect(receiver.accept(CREDIT_WINDOW)).toBe(true);
  expect(receiver.accept(CREDIT_WINDOW + 1)).toBe(false);
  expect(receiver.accept(0)).toBe(false);
  expect(receiver.peerSent(CREDIT_WINDOW + 1)).toBe(false);
  const sender = new CreditSender();
  sender.take();
  sender.credit({ grant: 1e9, seq: 1, received: 1 });
  sender.credit({ grant: CREDIT_WINDOW + 5, seq: 5, received: 0 });
  sender.credit({ grant: CREDIT_WINDOW + 1, seq: 1, received: 2 });
  for (let i = 1; i < CREDIT_WINDOW; i++) sender.take();
  expect(sender.open).toBe(false);
});

test('under any loss and order, an honest sender is never refused, never has more than a window in flight, and never stalls', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom('send', 'arrive', 'lose', 'report', 'ping'), { maxLength: 3_000 }),
      (steps) => {
        const sender = new CreditSender();
        const receiver = new CreditReceiver();
        const flying: number[] = [];
        for (const step of steps) {
          if (step === 'send' && sender.open) flying.push(sender.take());
          if (step === 'arrive') {
            const sequence = flying.shift();
            if (sequence !== undefined) expect(receiver.accept(sequence)).toBe(true);
          }
          if (step === 'lose') flying.shift();
          if (step === 'report' && receiver.hasNews) sender.credit(receiver.report());
          if (step === 'ping') expect(receiver.peerSent(sender.sent)).toBe(true);
        }
        while (sender.open) sender.take();
        receiver.peerSent(sender.sent);
        sender.credit(receiver.report());
        expect(sender.open).toBe(true);
        expect(sender.lossPerMille).toBeGreaterThanOrEqual(0);
        expect(sender.lossPerMille).toBeLessThanOrEqual(1000);
      },
    ),
  );
});
