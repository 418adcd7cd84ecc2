// Loaded before a program: its clock is that of the house under test, which is not the machine's.
import { readFileSync } from 'node:fs';

const machine = Date.now;
const now = () => machine() + Number(readFileSync(process.env.CLOCK_OFFSET, 'utf8'));
Date.now = now;
globalThis.Date = new Proxy(Date, {
  construct: (date, told, as) => Reflect.construct(date, told.length ? told : [now()], as),
  apply: (date) => new date(now()).toString(),
});
