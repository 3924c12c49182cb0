// Numbers, durations and times as the language writes them, units included.
import { lang, LOCALES, t } from './index';

type NumberOptions = Intl.NumberFormatOptions;
const numbers = new Map<string, Intl.NumberFormat>();

function format(name: string, options: NumberOptions, value: number): string {
    const key = `${lang.value} ${name}`;
    let made = numbers.get(key);
    if (!made) {
        made = new Intl.NumberFormat(LOCALES[lang.value], options);
        numbers.set(key, made);
    }
    return made.format(value);
}

export const num = (value: number) => format('plain', {}, value);

export const compact = (value: number) =>
    format('compact', { notation: 'compact', maximumFractionDigits: 1 }, value);

// 0 to 1. Rounded down: 99.96 % is not 100 %.
export function percent(value: number): string {
    const digits = { minimumFractionDigits: 1, maximumFractionDigits: 1 };
    const whole = { style: 'percent', maximumFractionDigits: 0 } as const;
    const rounded = Math.floor(value * 1000) / 1000;
    return value === 1
        ? format('whole', whole, 1)
        : format('percent', { style: 'percent', ...digits }, rounded);
}

// How long something took.
export function took(ms: number): string {
    if (ms < 1) {
        return t('unit.ms.less');
    }
    return ms < 1000
        ? t('unit.ms', { v: String(Math.round(ms)) })
        : t('unit.s', { v: (ms / 1000).toFixed(2) });
}

// How long it is until something, in its two largest units.
export function duration(ms: number): string {
    const s = Math.max(0, Math.ceil(ms / 1000));
    const d = Math.floor(s / 86_400);
    const h = Math.floor((s % 86_400) / 3600);
    const m = Math.floor((s % 3600) / 60);
    if (d > 0) {
        return t('unit.dh', { d: String(d), h: String(h) });
    }
    if (h > 0) {
        return t('unit.hm', { h: String(h), m: String(m) });
    }
    return m > 0 ? t('unit.m', { v: String(m) }) : t('unit.s', { v: String(s) });
}

// Minutes and seconds, for what is watched as it runs out.
export function countdown(ms: number): string {
    const s = Math.max(0, Math.round(ms / 1000));
    return `${Math.floor(s / 60)}:${String(s % 60).padStart(2, '0')}`;
}

const times = new Map<string, Intl.DateTimeFormat>();

function time(name: string, options: Intl.DateTimeFormatOptions, at: number): string {
    const key = `${lang.value} ${name}`;
    let made = times.get(key);
    if (!made) {
        made = new Intl.DateTimeFormat(LOCALES[lang.value], { ...options, hourCycle: 'h23' });
        times.set(key, made);
    }
    return made.format(at);
}

const HM = { hour: '2-digit', minute: '2-digit' } as const;

export const clock = (at: number) => time('clock', { ...HM, second: '2-digit' }, at);
export const hourMinute = (at: number) => time('minute', HM, at);
export const day = (at: number) => time('day', { month: 'short', day: 'numeric' }, at);
export const exact = (at: number) =>
    time('exact', { month: 'short', day: 'numeric', ...HM, second: '2-digit' }, at);
export const moment = (at: number) => time('moment', { month: 'short', day: 'numeric', ...HM }, at);
