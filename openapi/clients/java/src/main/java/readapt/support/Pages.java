package readapt.support;

import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.function.Function;
import readapt.client.ApiException;

/** Reads lists of any length, item by item. */
public final class Pages {
  private Pages() {}

  /** Request for one page of a list; for the first page if the cursor is null. */
  @FunctionalInterface
  public interface Request<P> {
    P page(String cursor) throws ApiException;
  }

  /** Refusal by the service while the items of a list were read. */
  public static final class PageException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    PageException(ApiException cause) {
      super(cause.getMessage(), cause);
    }
  }

  /**
   * Iterates over every item of a list, and fetches pages as they are needed.
   *
   * @param request requests a page, given the cursor of the page before
   * @param items returns the items of a page, such as {@code JobPage::getData}
   * @param next returns the cursor of the next page, such as {@code JobPage::getNextCursor}
   */
  public static <P, T> Iterable<T> items(Request<P> request, Function<P, List<T>> items, Function<P, String> next) {
    return () -> new Items<>(request, items, next);
  }

  private static final class Items<P, T> implements Iterator<T> {
    private final Request<P> request;
    private final Function<P, List<T>> itemsOf;
    private final Function<P, String> nextOf;
    private Iterator<T> items;
    private String cursor;

    Items(Request<P> request, Function<P, List<T>> itemsOf, Function<P, String> nextOf) {
      this.request = request;
      this.itemsOf = itemsOf;
      this.nextOf = nextOf;
    }

    @Override
    public boolean hasNext() {
      while (items == null || (!items.hasNext() && cursor != null)) {
        fetch();
      }
      return items.hasNext();
    }

    @Override
    public T next() {
      if (!hasNext()) {
        throw new NoSuchElementException();
      }
      return items.next();
    }

    private void fetch() {
      try {
        var page = request.page(cursor);
        items = itemsOf.apply(page).iterator();
        cursor = nextOf.apply(page);
      } catch (ApiException e) {
        throw new PageException(e);
      }
    }
  }
}
