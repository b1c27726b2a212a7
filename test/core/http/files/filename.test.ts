import fc from 'fast-check';
import t from 'tap';
import { attachment } from '../../../../core/http/files/content-disposition.ts';
import { cleanFilename } from '../../../../core/http/files/filename.ts';

t.test('hostile names become harmless ones', async (t) => {
  const cases: [string, string][] = [
    ['report.pdf', 'report.pdf'],
    ['../../etc/passwd', 'passwd'],
    ['..\\..\\windows\\system.ini', 'system.ini'],
    ['/etc/shadow', 'shadow'],
    ['C:\\autoexec.bat', 'autoexec.bat'],
    ['..', 'file'],
    ['. . .', 'file'],
    ['a/', 'file'],
    ['', 'file'],
    ['   ', 'file'],
    ['a\u0000.txt', 'a.txt'],
    ['innocent\u202Etxt.exe', 'innocenttxt.exe'],
    ['line\r\nSet-Cookie: x=1.txt', 'lineSet-Cookie_ x=1.txt'],
    ['nul', '_nul'],
    ['CON.txt', '_CON.txt'],
    ['com1 .log', '_com1 .log'],
    ['what?.txt', 'what_.txt'],
    ['trailing. . ', 'trailing'],
    ['e\u0301.txt', '\u00e9.txt'],
    ['\ud800.txt', '\ufffd.txt'],
    ['..%2f..%2fetc', '..%2f..%2fetc'],
    ['日本語.txt', '日本語.txt'],
    [`${'a'.repeat(400)}.txt`, `${'a'.repeat(251)}.txt`],
  ];
  for (const [given, expected] of cases) t.equal(cleanFilename(given), expected, JSON.stringify(given));
});

const anyName = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 600 }),
  fc.string({
    unit: fc.constantFrom('.', '/', '\\', ' ', '\0', 'n', 'u', 'l', '\u202e', ':', '\ud800', '\u0301', '🙂'),
  }),
);

t.test('any name comes out as one component that fits every file system, and stays as it is', async () => {
  fc.assert(
    fc.property(anyName, (given) => {
      const name = cleanFilename(given);
      const bytes = Buffer.byteLength(name);
      return (
        bytes >= 1 &&
        bytes <= 255 &&
        !/[/\\\p{Cc}]/u.test(name) &&
        !/^\.+$/.test(name) &&
        name.isWellFormed() &&
        cleanFilename(name) === name
      );
    }),
    { numRuns: 2000 },
  );
});

t.test('a Content-Disposition is one line of ASCII that says the name exactly', async (t) => {
  t.equal(attachment('plain name.txt'), 'attachment; filename="plain name.txt"');
  t.equal(attachment('50%.txt'), `attachment; filename="50_.txt"; filename*=UTF-8''50%25.txt`);
  t.equal(
    attachment("naïve (l'été).txt"),
    `attachment; filename="na_ve (l'_t_).txt"; filename*=UTF-8''na%C3%AFve%20%28l%27%C3%A9t%C3%A9%29.txt`,
  );
  fc.assert(
    fc.property(anyName, (name) => {
      const field = attachment(name);
      const match =
        /^attachment; filename="([ !#-[\]-~]*)"(?:; filename\*=UTF-8''([A-Za-z0-9!#$&+.^_`|~%-]+))?$/.exec(
          field,
        );
      if (match === null) return false;
      const [, plain, extended] = match;
      return (extended === undefined ? plain : decodeURIComponent(extended)) === name.toWellFormed();
    }),
    { numRuns: 2000 },
  );
});
