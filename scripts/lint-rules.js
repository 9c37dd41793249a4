/** Lint rules of this project alone: a plugin of oxlint (`.oxlintrc.json`) in ESLint's format. */

const MAX_LINE_LENGTH = 120;
const MAX_FUNCTION_LINES = 60;

/** Pattern of openings that make a comment unclear without its code. */
const RIDDLE =
  /^(What|Whose|Who|Whom|Where|How|Why|Says (what|who|whose|where|how|why|whether)|The same (of|as|for))\b/;

/** Rule: only `*.repository.ts` files may call Prisma's models and its raw SQL. All others call a repository. */
const onlyRepositoriesQuery = {
  meta: { type: 'problem', schema: [] },
  create(context) {
    const report = (node) =>
      context.report({ node, message: 'Only repositories query the database: move this to a *.repository.ts.' });
    return {
      CallExpression(node) {
        const { callee } = node;
        if (callee.type !== 'MemberExpression' || callee.object.type !== 'MemberExpression') return;
        const isDatabase = /^(db|tx|database)$/.test(callee.object.object.name);
        if (isDatabase && /^(find|create|update|upsert|delete|aggregate|groupBy|count)/.test(callee.property.name))
          report(node);
      },
      MemberExpression(node) {
        if (/^\$(queryRaw|executeRaw)/.test(node.property.name)) report(node);
      },
    };
  },
};

/** Rule: doc comments open with a noun or a verb, so that they can be understood without the code. */
const commentOpening = {
  meta: { type: 'suggestion', schema: [] },
  create(context) {
    return {
      Program() {
        for (const comment of context.sourceCode.getAllComments()) {
          if (comment.type !== 'Block' || !comment.value.startsWith('*')) continue;
          const text = comment.value.replace(/^[\s*]+/, '');
          const opening = RIDDLE.exec(text)?.[0];
          if (opening === undefined) continue;
          const message = `Open this comment with a noun or a verb in place of “${opening}”, so that it stands alone.`;
          context.report({ loc: comment.loc, message });
        }
      },
    };
  },
};

/** Rule: lines of code and comments fit into 120 columns. The formatter leaves comments and long strings alone. */
const lineLength = {
  meta: { type: 'layout', schema: [] },
  create(context) {
    return {
      Program() {
        context.sourceCode.lines.forEach((line, index) => {
          if (line.length <= MAX_LINE_LENGTH) return;
          const loc = {
            start: { line: index + 1, column: MAX_LINE_LENGTH },
            end: { line: index + 1, column: line.length },
          };
          context.report({ loc, message: `This line has ${line.length} columns; ${MAX_LINE_LENGTH} are allowed.` });
        });
      },
    };
  },
};

const lineCount = (node) => node.loc.end.line - node.loc.start.line + 1;

/** Finds the declaration of a route that ends with this handler; undefined if there is none. */
function routeOf({ parent }) {
  if (parent.type !== 'CallExpression' || parent.callee.type !== 'MemberExpression') return undefined;
  return /^(app|routes|scope)$/.test(parent.callee.object.name) ? parent : undefined;
}

/**
 * Counts the lines of an inner function that do not count for the function around it: those of functions with a name,
 * and of routes with their schemas.
 */
function linesApart(node) {
  if (node.type === 'FunctionDeclaration') return lineCount(node);
  if (/^(VariableDeclarator|MethodDefinition|Property)$/.test(node.parent.type)) return lineCount(node);
  const route = routeOf(node);
  return route === undefined ? 0 : lineCount(route);
}

/** Rule: a function has at most 60 lines, not counting inner functions with a name and routes. */
const functionLength = {
  meta: { type: 'suggestion', schema: [] },
  create(context) {
    const open = [];
    const enter = () => open.push({ inner: 0 });
    const leave = (node) => {
      const { inner } = open.pop();
      const lines = lineCount(node) - inner;
      const outer = open.at(-1);
      if (outer !== undefined) outer.inner += linesApart(node) || inner;
      if (lines <= MAX_FUNCTION_LINES) return;
      const message = `This function has ${lines} lines of its own; ${MAX_FUNCTION_LINES} are allowed. Name its steps.`;
      context.report({ loc: { start: node.loc.start, end: node.loc.start }, message });
    };
    const kinds = ['FunctionDeclaration', 'FunctionExpression', 'ArrowFunctionExpression'];
    return Object.fromEntries(
      kinds.flatMap((kind) => [
        [kind, enter],
        [`${kind}:exit`, leave],
      ]),
    );
  },
};

export default {
  meta: { name: 'readapt' },
  rules: {
    'only-repositories-query': onlyRepositoriesQuery,
    'comment-opening': commentOpening,
    'line-length': lineLength,
    'function-length': functionLength,
  },
};
