// Numbers and times as the terminal shows them.

const whole = new Intl.NumberFormat("en");
const tenths = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });

const isNumber = (value) => typeof value === "number";

export const count = (value) => (isNumber(value) ? whole.format(Math.round(value)) : "–");
export const tenth = (value) => (isNumber(value) ? tenths.format(value) : "–");
export const megabytes = (bytes) => (isNumber(bytes) ? `${tenths.format(bytes / 1e6)} MB` : "–");

export function size(bytes) {
  return isNumber(bytes) && bytes >= 1e9 ? `${tenths.format(bytes / 1e9)} GB` : megabytes(bytes);
}

// Seconds, as 0:01:23.
export function clock(seconds) {
  if (!isNumber(seconds)) return "–";
  const all = Math.max(0, Math.floor(seconds));
  const two = (value) => String(value).padStart(2, "0");
  const days = Math.floor(all / 86400);
  const rest = `${Math.floor((all % 86400) / 3600)}:${two(Math.floor((all % 3600) / 60))}:${two(all % 60)}`;
  return days ? `${days} d ${rest}` : rest;
}

// A moment, in seconds since 1970: the time of day, with the day if that is not today's.
export function moment(seconds) {
  if (!isNumber(seconds)) return "";
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) return "";
  const time = date.toLocaleTimeString("en-GB");
  return date.toDateString() === new Date().toDateString() ? time : `${date.toLocaleDateString("en-CA")} ${time}`;
}

export const plural = (number, word) => `${count(number)} ${word}${number === 1 ? "" : "s"}`;

// An address, which may be of any length.
export function brief(address) {
  const text = String(address ?? "");
  return text.length > 160 ? `${text.slice(0, 110)} … ${text.slice(-40)}` : text;
}
