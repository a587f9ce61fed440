import { xml } from '@xmpp/client';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { NS } from './namespaces.ts';
import { announcementElement, parseAnnouncement } from './node-announcement.ts';

test('what a node says of itself comes back as it was', () => {
  const node = fc.record({
    ip4: fc.option(fc.ipV4()),
    kind: fc.constantFrom('static' as const, 'auto' as const),
  });
  fc.assert(
    fc.property(node, (said) => {
      expect(parseAnnouncement(xml('presence', {}, announcementElement(said)))).toEqual(said);
    }),
  );
});

test('whatever stands there gives an announcement that makes sense, or none', () => {
  const value = fc.oneof(fc.string(), fc.constantFrom('static', 'auto', '10.0.0.1', '010.0.0.1', '::1'));
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom('ip4', 'kind', 'x'), value), (attributes) => {
      const said = parseAnnouncement(xml('presence', {}, xml('node', { xmlns: NS.node, ...attributes })));
      if (said === undefined) return;
      expect(['static', 'auto']).toContain(said.kind);
      if (said.ip4 !== null) expect(said.ip4).toMatch(/^(\d{1,3}\.){3}\d{1,3}$/);
    }),
  );
  expect(parseAnnouncement(xml('presence'))).toBeUndefined();
});
