import { readFileSync } from 'node:fs';
import type { Message } from '../../core/terms/message.ts';

/** Numbers that are the same in every run (mulberry32). */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  /** From 0 up to 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  int(below: number): number {
    return Math.floor(this.next() * below);
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[this.int(items.length)] as Item;
  }

  text(alphabet: string, length: number): string {
    const characters = [...alphabet];
    return Array.from({ length }, () => this.pick(characters)).join('');
  }
}

const source = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const english = source('LICENSE').replaceAll(/\s+/g, ' ') + source('SECURITY.md') + source('CONTRIBUTING.md');
const code = source('config/load.ts') + source('sidecar/bin/sidecar.ts') + source('biome.json');
const json = source('package-lock.json');
const chinese =
  '的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动同工也能下过子说产种面而方后多定行学法所民得经十三之进着等部度家电力里如水化高自二理起小物现实加量都两体制机当使点从业本去把性好应开它合还因由其些然前外天政四日那社义事平形相全表间样与关各重新线内数正心反你明看原又么利比或但质气第向道命此变条只没结解问意建月公无系军很情者最立代想已通并提直题党程展五果料象员革位入常文总次品式活设及管特件长求老头基资边流路级少图山统接知较将组见计别她手角期根论运农指几九区强放决西被干做必战先回则任取据处队南给色光门即保治北造百规热领七海口东导器压志世金增争济阶油思术极交受联什认六共权收证改清己美再采转更单风切打白教速花带安场身车例真务具万每目至达走积示议声报斗完类八离华名确才科张信马节话米整空元况今集温传土许步群广石记需段研界拉林律叫且究观越织装影算低持音众书布复容儿须际商非验连断深难近矿千周委素技备半办青省列习响约支般史感劳便团往酸历市克何除消构府称太准精值号率族维划选标写存候毛亲快效斯院查江型眼王按格养易置派层片始却专状育厂京识适属圆包火住调满县局照参红细引听该铁价严龘鬱';
const emoji = ['😀', '👩‍👩‍👧‍👦', '🇳🇴', '👍🏽', '🚀', '🧑🏿‍🚀', '❤️', '🫠', '🏴󠁧󠁢󠁳󠁣󠁴󠁿'];
const kana =
  'あいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほまみむめもやゆよらりるれろわをんアイウエオカキクケコ漢字';

const slice = (random: Random, text: string, length: number) => {
  const start = random.int(Math.max(1, text.length - length));
  return text.slice(start, start + length);
};

/** Texts of each kind that a chat may hold, of about a length in characters. */
export const kinds: Readonly<Record<string, (random: Random, length: number) => string>> = {
  english: (random, length) => slice(random, english, length),
  code: (random, length) => slice(random, code, length),
  json: (random, length) => slice(random, json, length),
  csv: (random, length) => {
    let rows = '';
    while (rows.length < length) {
      rows += `${random.int(1e6)},"${random.text('abcdefghij klmnop', 8)}",${random.next().toFixed(4)},2026-0${1 + random.int(9)}-1${random.int(9)}\n`;
    }
    return rows.slice(0, length);
  },
  digits: (random, length) => random.text('0123456789', length),
  numbers: (random, length) => random.text('0123456789 .,-', length),
  uuids: (random, length) => {
    let list = '';
    while (list.length < length) {
      list += `${random.text('0123456789abcdef', 8)}-${random.text('0123456789abcdef', 4)}-4${random.text('0123456789abcdef', 3)}-a${random.text('0123456789abcdef', 3)}-${random.text('0123456789abcdef', 12)}\n`;
    }
    return list.slice(0, length);
  },
  hex: (random, length) => random.text('0123456789abcdef', length),
  base64: (random, length) =>
    random.text('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/', length),
  chinese: (random, length) => random.text(chinese, Math.ceil(length / 2)),
  japanese: (random, length) => random.text(kana, Math.ceil(length / 2)),
  emoji: (random, length) =>
    Array.from({ length: Math.ceil(length / 8) }, () => random.pick(emoji)).join(' '),
  punctuation: (random, length) => random.text('!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~', length),
  capitals: (random, length) => random.text('ABCDEFGHIJKLMNOPQRSTUVWXYZ ', length),
  whitespace: (random, length) => random.text(' \n\t', length),
};

export type TextKind = keyof typeof kinds;

export const tools = [
  {
    type: 'function',
    function: {
      name: 'get_weather',
      description: 'Current weather of a place, as the weather service of the country has it.',
      parameters: {
        type: 'object',
        properties: {
          city: { type: 'string', description: 'Name of the city, such as "Oslo"' },
          unit: { type: 'string', enum: ['celsius', 'fahrenheit'] },
        },
        required: ['city'],
      },
    },
  },
  {
    type: 'function',
    function: { name: 'search', description: 'Searches.', parameters: { type: 'object', properties: {} } },
  },
];

/** What a user and a model may say in one turn: often short, sometimes longer than any window. */
export function mixedText(random: Random): string {
  const kind = random.pick(Object.keys(kinds)) as TextKind;
  const length = random.next() < 0.03 ? 12_000 : random.pick([20, 60, 100, 200, 200, 400, 800, 2000]);
  return (kinds[kind] as (random: Random, length: number) => string)(random, 1 + random.int(length));
}

/** The messages of one mixed conversation, the oldest first, ending with something new. */
export function mixedConversation(random: Random): Message[] {
  const messages: Message[] = [];
  if (random.next() < 0.3) messages.push({ role: 'system', content: mixedText(random).slice(0, 900) });
  for (let turn = random.int(7); turn > 0; turn--) {
    messages.push({ role: 'user', content: mixedText(random) });
    if (random.next() < 0.15) {
      const id = `call${random.text('0123456789abcdef', 8)}`;
      const given = JSON.stringify({ city: mixedText(random).slice(0, 200) });
      messages.push({
        role: 'assistant',
        content: null,
        tool_calls: [{ id, type: 'function', function: { name: 'get_weather', arguments: given } }],
      });
      messages.push({ role: 'tool', tool_call_id: id, content: mixedText(random) });
    }
    messages.push({ role: 'assistant', content: mixedText(random) });
  }
  const last = mixedText(random);
  messages.push(
    random.next() < 0.1
      ? {
          role: 'user',
          content: [
            { type: 'text', text: last },
            { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } },
          ],
        }
      : { role: 'user', content: last },
  );
  return messages;
}
