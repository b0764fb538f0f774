const cardNumbers = /(?<!\d)(?:\d[ -]?){12,18}\d(?!\d)/g;

/** True when a text has a number of 13 to 19 digits whose check digit is that of a payment card. */
export function hasCardNumber(text: string): boolean {
  return (text.match(cardNumbers) ?? []).some((number) => hasCheckDigit(number.replace(/\D/g, "")));
}

/** Luhn's rule: every second digit from the right counts twice, and the sum ends in 0. */
function hasCheckDigit(digits: string): boolean {
  const sum = [...digits].reverse().reduce((total, digit, index) => {
    const value = Number(digit) * (index % 2 === 0 ? 1 : 2);
    return total + (value > 9 ? value - 9 : value);
  }, 0);
  return sum % 10 === 0;
}
