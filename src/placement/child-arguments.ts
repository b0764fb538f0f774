/** What was asked of Node for this process and is to hold for a child of it. */
export const childArguments = (): string[] => process.execArgv.filter(isForChild);

/** A debugger's port can be had once; what a test runner asks of Node is not for its children. */
const isForChild = (argument: string): boolean => !/^--(inspect|test|watch|eval|print)/.test(argument);
